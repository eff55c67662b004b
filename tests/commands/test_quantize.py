"""`bench quantize`, as a user types it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness import exporters, importers
from harness.cli import main
from harness.exporters import tflite
from tests.support.graphs import small_network


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A float model and 20 samples of five classes."""
    (tmp_path / "net.tflite").write_bytes(tflite.write(small_network()))
    rng = np.random.default_rng(0)
    for label in range(5):
        (tmp_path / "data" / str(label)).mkdir(parents=True)
        for i in range(4):
            np.save(
                tmp_path / "data" / str(label) / f"{i}.npy", rng.normal(size=(9, 9, 3)).astype(np.float32)
            )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def quantize(*arguments, model="net.tflite"):
    data = ("--dataset", "data", "--preprocess", "mean=0")
    return main(["quantize", "--quiet", "--model", model, *data, *arguments])


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_writes_the_int8_model(folder, capsys, suffix):
    if suffix == ".onnx":
        pytest.importorskip("onnx")
    assert quantize("--out", f"int8{suffix}") == 0
    shown = capsys.readouterr().out
    assert f"wrote int8{suffix}" in shown
    assert "steps: observe(method=mse) correct_bias" in shown
    assert "top-1" in shown
    graph = importers.load(f"int8{suffix}")
    assert any(t.quant is not None and t.dtype == np.int8 for t in graph.tensors.values())


def test_explains_which_layers_lose_most(folder, capsys):
    assert quantize("--explain", "--samples", "4", "--ptq", "observe(method=min_max)") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["%", "of", "alone:", "kept:"]
    columns = "layer op MACs its dB output dB top-1 loss output dB top-1 loss"
    assert lines[1].split() == columns.split()
    assert sum("Conv2D" in line for line in lines) == 3


def test_what_a_layer_costs_in_float_is_measured_on_the_device(folder, capsys):
    assert quantize("--explain", "--samples", "4", "--device", "local") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith("% slower")
    assert all(float(line.split()[-1]) > -100 for line in lines if "Conv2D" in line)
    assert quantize("--ptq", "mixed(slower=9)", "--device", "local", "--out", "float.tflite") == 0
    kept = importers.load("float.tflite")
    assert not any(t.dtype == np.int8 for t in kept.tensors.values() if not t.is_const)  # so much buys all


def test_explains_in_json_and_nothing_else_on_standard_output(folder, capsys):
    assert quantize("--explain", "--samples", "4", "--format", "json", "--out", "int8.qbm") == 0
    out, err = capsys.readouterr()
    layers = json.loads(out)
    assert len(layers) == 6  # all but the reshape
    errors = [np.inf if layer["output_sqnr_db"] is None else layer["output_sqnr_db"] for layer in layers]
    assert errors == sorted(errors)
    assert all(isinstance(layer["cross_entropy_change"], float) for layer in layers)
    assert layers[-1]["kept"]["output_sqnr_db"] > layers[0]["kept"]["output_sqnr_db"]
    assert layers[0]["kept"]["slower"] is None  # no device was asked
    assert "wrote int8.qbm" in err


def test_without_labels_it_says_nothing_of_the_task(folder, capsys):
    assert quantize("--calibration", "data/0", "--explain", "--samples", "3") == 0
    assert "top-1" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ptq", "equalise"], "unknown quantization step 'equalise'"),
        (["--ptq", "round("], "--ptq: line 1"),
        (["--out", "int8.txt"], "int8.txt"),
        (["--format", "json"], "--format json goes with --explain"),
        (["--ptq", "mixed(slower=0.1)"], "step mixed: what a layer costs is measured on one device: give"),
        (["--device", "nowhere"], "nowhere"),
    ],
)
def test_bad_options_are_one_line(folder, capsys, arguments, message):
    assert quantize(*arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err


def test_a_quantized_file_is_refused(folder, capsys):
    quantize("--out", "int8.tflite")
    capsys.readouterr()
    assert quantize("--out", "again.tflite", model="int8.tflite") == 2
    assert "is quantized already" in capsys.readouterr().err


def test_a_sample_that_is_not_finite_is_one_line(folder, capsys):
    np.save(folder / "data" / "0" / "0.npy", np.full((9, 9, 3), np.nan, np.float32))
    assert quantize() == 2
    assert "0.npy: holds a value that is not finite" in capsys.readouterr().err


def test_a_network_whose_values_overflow_is_one_line(folder, capsys):
    graph = small_network()
    last = graph.tensors[graph.nodes[-2].inputs[1]]
    last.data = np.full_like(last.data, 3e38)
    exporters.save(graph, "huge.tflite")
    assert quantize(model="huge.tflite") != 0
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "is not finite" in err
