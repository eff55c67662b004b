"""bench train from the command line: files that bench run takes, and refusals of one line."""

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from harness import importers, passes  # noqa: E402
from harness.cli import main  # noqa: E402
from harness.exporters import tflite  # noqa: E402
from harness.ops import node_macs  # noqa: E402
from harness.sources import open_source  # noqa: E402
from tests.support.graphs import small_network  # noqa: E402

PREPROCESS = ["--preprocess", "resize=9,mean=127.5,std=127.5"]
QUICK = ["--epochs", "2", "--batch", "8", "--quiet"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A float network of ten layers and photos of its five classes; the working directory."""
    (tmp_path / "net.tflite").write_bytes(tflite.write(small_network()))
    rng = np.random.default_rng(0)
    for label in range(5):
        photos = tmp_path / "photos" / str(label)
        photos.mkdir(parents=True)
        for index in range(8):
            Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).save(photos / f"{index}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*options: str) -> int:
    return main(["train", "--model", "net.tflite", *PREPROCESS, *QUICK, *options])


def test_an_int8_file_that_run_takes_beside_the_float_network(folder, capsys):
    assert train("--dataset", "photos", "--out", "trained.tflite") == 0
    out = capsys.readouterr().out
    assert "int8, trained" in out
    assert "same class as f32" in out
    assert "top-1" not in out
    assert "trained 2 epochs" in out
    assert open_source("net.tflite", qat="trained.tflite").qat.quantized


def test_labels_show_an_accuracy(folder, capsys):
    assert train("--calibration", "photos", "--labels", "--out", "trained.qbm") == 0
    assert "top-1" in capsys.readouterr().out


def test_images_without_labels(folder, capsys):
    for index, path in enumerate(sorted((folder / "photos").rglob("*.png"))):
        path.rename(folder / f"{index}.png")
    assert train("--calibration", str(folder), "--out", "trained.tflite", "--alter", "none") == 0


def test_a_smaller_network_is_fine_tuned_in_float(folder):
    small = "prune_channels(fraction=0.5) decompose(cost=0.5)"
    assert train("--dataset", "photos", "--float", "--transforms", small, "--out", "small.tflite") == 0
    graph = passes.apply(importers.load("small.tflite"))
    assert {tensor.dtype for tensor in graph.tensors.values() if not tensor.is_const} == {
        np.dtype(np.float32)
    }
    macs = [sum(node_macs(g, node) for node in g.nodes) for g in (graph, small_network())]
    assert macs[0] < macs[1] / 2


def test_training_is_resumed(folder, capsys):
    options = ("--dataset", "photos", "--out", "trained.tflite", "--checkpoint", "state")
    assert train(*options) == 0
    whole = (folder / "trained.tflite").read_bytes()
    assert train(*options, "--resume") == 0
    assert (folder / "trained.tflite").read_bytes() == whole
    assert train(*options, "--resume", "--seed", "1") == 2
    assert "state belongs to another training" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "x.tflite"], "there is nothing to train on: give --dataset or --calibration"),
        (["--out", "x.onnx", "--dataset", "photos"], "its suffix must be .tflite or .qbm"),
        (["--out", "x.qbm", "--dataset", "photos", "--resume"], "--resume goes on where a --checkpoint ends"),
        (
            ["--out", "x.qbm", "--dataset", "photos", "--alter", "turn"],
            "--alter knows flip, crop, brightness",
        ),
        (["--out", "x.qbm", "--dataset", "photos", "--batch-norm"], "has no batch norms"),
        (["--out", "x.qbm", "--dataset", "photos", "--transforms", "shrink"], "unknown transform 'shrink'"),
        (["--out", "x.qbm", "--dataset", "nowhere"], "nowhere"),
    ],
)
def test_bad_usage_is_one_line(folder, capsys, options, message):
    assert train(*options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "x.qbm").exists()


def test_a_quantized_network_is_refused(folder, capsys):
    assert train("--dataset", "photos", "--out", "trained.tflite") == 0
    assert (
        main(["train", "--model", "trained.tflite", *PREPROCESS, "--dataset", "photos", "--out", "x.qbm"])
        == 2
    )
    assert "is quantized already; give its float network" in capsys.readouterr().err


def test_without_pytorch_the_extra_is_named(folder, capsys, monkeypatch):
    import importlib.util
    import sys

    for name in [
        name for name in sys.modules if name.startswith(("harness.train", "harness.commands._training"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "torch" else find(name, *a)
    )
    assert train("--dataset", "photos", "--out", "x.qbm") == 2
    assert "training needs PyTorch: pip install 'quantbench[train]'" in capsys.readouterr().err
