"""Training on a task that a small network can learn: with labels, without, interrupted, seeded."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from harness.errors import FormatError, UsageError  # noqa: E402
from harness.samples import Storage  # noqa: E402
from harness.train.checkpoint import Checkpoint  # noqa: E402
from harness.train.fitting import Settings, fit  # noqa: E402
from harness.train.network import Network  # noqa: E402
from harness.train.samples import ALTERATIONS, Samples  # noqa: E402
from tests.support.graphs import small_network  # noqa: E402
from tests.support.training import int8  # noqa: E402

QUICK = Settings(epochs=4, batch=16, rate=1e-2)
STORAGE = Storage(np.dtype(np.uint8), np.full(1, 1 / 64, np.float32), np.full(1, 128, np.float32))


def colours(count: int, seed: int) -> Samples:
    """Images of one colour, which is their label, or of none."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    pixels = rng.integers(0, 128, (count, 9, 9, 3))
    for image, label in zip(pixels, labels, strict=True):
        image[:, :, label : label + 1] += 127
    return Samples(pixels.astype(np.uint8), torch.from_numpy(labels), STORAGE)


TRAINING, VALIDATION = colours(128, 0), colours(64, 1)
NOTHING = replace(QUICK, alterations=())
INT8, ONE_SCALE = (
    int8(small_network(), VALIDATION.reals(torch.arange(64)).numpy(), one_scale=one) for one in (False, True)
)


def fitted(settings, arithmetic=INT8, checkpoint=None, progress=lambda *_: None, teacher=None):
    network = Network(small_network(), {}, arithmetic)
    teacher = teacher or Network(small_network(1), {}, None)
    return network, fit(network, teacher, TRAINING, VALIDATION, settings, progress, checkpoint)


def test_labels_are_learned():
    _, outcome = fitted(replace(NOTHING, labels=True, distill=False, epochs=12))
    assert outcome.history[outcome.best].top1 > 0.6
    assert outcome.history[outcome.best].loss < outcome.history[0].loss


@pytest.mark.parametrize("arithmetic", [INT8, None, ONE_SCALE])
def test_a_teachers_answers_are_learned_without_labels(arithmetic):
    _, outcome = fitted(replace(NOTHING, epochs=8), arithmetic)
    assert outcome.history[outcome.best].loss < outcome.history[0].loss / 2


def test_the_best_epoch_is_kept_and_training_ends_when_it_does_not_get_better():
    network, outcome = fitted(replace(NOTHING, epochs=50, patience=2, rate=0.3))
    assert len(outcome.history) == outcome.best + 3 < 50
    assert outcome.best == outcome.history.index(min(outcome.history, key=lambda epoch: epoch.loss))
    for name, value in network.state_dict().items():
        assert torch.equal(value, outcome.state[name]), name


def test_the_same_again_on_this_machine():
    states = [fitted(QUICK)[0].state_dict() for _ in range(2)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    other = fitted(replace(QUICK, seed=1))[0].state_dict()
    assert any(not torch.equal(states[0][name], other[name]) for name in other)


class _Interrupted(Exception):
    pass


def _interrupt(done: int, total: int) -> None:
    if done > total // 2:
        raise _Interrupted


def test_what_is_cut_off_goes_on_to_the_same_end(tmp_path):
    path = tmp_path / "state"
    with pytest.raises(_Interrupted):
        fitted(QUICK, checkpoint=Checkpoint(path, "same"), progress=_interrupt)
    assert path.is_file()
    resumed, _ = fitted(QUICK, checkpoint=Checkpoint(path, "same", resumed=True))
    whole, _ = fitted(QUICK)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_zeros_stay_zero():
    graph = small_network()
    graph.tensors["w1"].data[:, 1] = 0
    network = Network(graph, {}, INT8)
    fit(network, Network(small_network(), {}, None), TRAINING, VALIDATION, QUICK, lambda *_: None)
    node = network.float_graph().nodes[0]
    weights = network.float_graph().const(node.inputs[1])
    assert not weights[:, 1].any()
    assert weights[:, 0].all()


# --- checkpoints are hostile ---


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    path = tmp_path / "state"
    Checkpoint(path, "one").write({"a": 1})
    assert Checkpoint(path, "one").read() == {"a": 1}
    with pytest.raises(UsageError, match="belongs to another training"):
        Checkpoint(path, "another").read()
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        Checkpoint(tmp_path / "nothing", "one").read()


class _Code:
    def __reduce__(self):
        return print, ("this must not run",)


def test_a_checkpoint_with_code_in_it_is_refused(tmp_path, capsys):
    path = tmp_path / "state"
    torch.save({"purpose": "one", "state": _Code()}, path)
    with pytest.raises(FormatError, match="not a checkpoint of bench train"):
        Checkpoint(path, "one").read()
    assert capsys.readouterr().out == ""


def test_damaged_checkpoints_are_refused(tmp_path):
    path = tmp_path / "state"
    Checkpoint(path, "one").write({"a": torch.arange(1000)})
    content = path.read_bytes()
    for damaged in (b"", b"text", content[:100], content[: len(content) // 2], content[200:]):
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match="not a checkpoint of bench train"):
            Checkpoint(path, "one").read()


# --- samples ---


def test_batches_in_order_are_what_the_runner_reads():
    x = torch.cat([x for x, _ in VALIDATION.batches(10)])
    np.testing.assert_array_equal(x, STORAGE.reals(VALIDATION.stored))


@pytest.mark.parametrize("name", ALTERATIONS)
def test_alterations_change_images_and_stay_in_their_range(name):
    random = torch.Generator().manual_seed(0)
    found = torch.cat([x for x, _ in TRAINING.drawn(32, (name,), random)])
    plain = STORAGE.reals(TRAINING.stored)
    assert found.shape == plain.shape
    assert plain.min() <= found.min()
    assert found.max() <= STORAGE.reals(np.uint8(255)).max()
    rows = {row.tobytes() for row in plain.reshape(len(plain), -1)}
    altered = [row.numpy().tobytes() not in rows for row in found.reshape(len(found), -1)]
    assert np.mean(altered) > (0.3 if name == "flip" else 0.9)


def test_what_is_no_image_is_not_altered():
    samples = Samples(TRAINING.stored[:, 0, 0], TRAINING.labels, STORAGE)
    found = torch.cat([x for x, _ in samples.drawn(32, ("flip",), torch.Generator().manual_seed(0))])
    assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, STORAGE.reals(samples.stored).tolist()))
