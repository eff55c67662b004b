"""Training begins with what the post-training steps leave: the same int8 graph, to the byte."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from harness import ptq  # noqa: E402
from harness.errors import FormatError  # noqa: E402
from harness.train.initial import initial  # noqa: E402
from harness.train.network import Network  # noqa: E402
from tests.support import runner  # noqa: E402
from tests.support.float_networks import convolutions  # noqa: E402
from tests.support.graphs import Builder, small_network  # noqa: E402
from tests.support.learned import Learned  # noqa: E402

STEPS = [
    "observe(method=min_max)",
    ptq.DEFAULT,
    "one_scale equalize",
    "equalize round correct_bias",
    "mixed(keep=1)",
]


def draft(graph, steps: str):
    shape = graph.tensors[graph.inputs[0]].shape
    samples = np.random.default_rng(0).normal(size=(8, *shape[1:]))
    return ptq.draft(graph, Learned(samples), ptq.parse(steps))


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("make", [small_network, convolutions])
def test_untrained_it_is_what_quantizing_gives(make, steps, tmp_path):
    drafted = draft(make(), steps)
    graph, arithmetic = initial(drafted)
    network = Network(graph, {}, arithmetic).eval()
    trained, quantized = network.int8_graph(), drafted.quantized()
    for x in drafted.learned.samples[:3, None]:
        stored = quantized.tensors[quantized.inputs[0]].quant.quantize(x, np.int8)
        (wanted,), (found,) = (runner.predict(g, [stored], tmp_path) for g in (quantized, trained))
        assert np.array_equal(wanted, found)


def test_what_cannot_be_int8_is_refused_before_the_training():
    b = Builder()
    graph = b.build(b.node("Cos", b.input((1, 4)), name="wave"))
    with pytest.raises(FormatError, match=r"node 'wave' \(Cos\) has no int8 form"):
        initial(draft(graph, "equalize"))
