"""The elementary kernels against LiteRT's reference kernels: int8 to the byte, float to 1e-6."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.exporters import tflite
from harness.graph import Graph, Node, Quantization, Tensor
from tests.support import op_graphs, runner
from tests.support.litert import Reference

COUNT = 80  # configurations of each op


def compare(graph, folder: Path, seed: int, **how) -> None:
    """int8 outputs must be equal; float32 outputs within 1e-6, relative to the largest value."""
    inputs = op_graphs.random_inputs(graph, seed)
    expected = Reference(tflite.write(graph)).run(*inputs)
    actual = runner.predict(graph, inputs, folder, **how)
    for node, ours, theirs in zip(graph.nodes, actual, expected, strict=True):
        assert ours.shape == theirs.shape, node
        if ours.dtype == np.int8:
            assert np.array_equal(ours, theirs), (node, np.flatnonzero(ours.ravel() != theirs.ravel()).size)
        else:
            scale = max(1.0, float(np.abs(theirs).max()))
            assert np.abs(ours - theirs).max() <= 1e-6 * scale, node


@pytest.mark.parametrize("op", op_graphs.DRAW)
def test_int8(op, tmp_path):
    compare(op_graphs.op_graph(op, True, COUNT, seed=1), tmp_path, seed=2, sanitized=True)


@pytest.mark.parametrize("op", [op for op in op_graphs.DRAW if op != "Quantize"])
def test_f32(op, tmp_path):
    compare(op_graphs.op_graph(op, False, COUNT, seed=3), tmp_path, seed=4, sanitized=True)


@pytest.mark.parametrize("op", ["Quantize", "Dequantize"])
def test_conversions(op, tmp_path):
    compare(op_graphs.conversion_graph(op, COUNT, seed=5), tmp_path, seed=6, sanitized=True)


def test_softmax_of_differences_too_small_for_tflite(tmp_path):
    """Its reference kernel aborts there; its table of float exponentials gives equal shares, as ours."""
    graph = Graph("softmax")
    for name, quant in (
        ("x", Quantization(np.float32(1e-9), 0)),
        ("y", Quantization(np.float32(1 / 256), -128)),
    ):
        graph.tensors[name] = Tensor(name, (1, 10), np.dtype(np.int8), quant=quant)
    graph.nodes.append(Node("Softmax", "s", ["x"], ["y"], {}))
    graph.inputs, graph.outputs = ["x"], ["y"]
    values = np.linspace(-128, 127, 10).astype(np.int8)[None]
    (actual,) = runner.predict(graph.verify(), [values], tmp_path, sanitized=True)
    assert actual.tolist() == [[round(256 / 10) - 128] * 10]


@pytest.mark.parametrize("arch", [arch for arch in ("aarch64", "armv7") if arch != runner.HOST])
@pytest.mark.parametrize("op", ["Add", "AveragePool2D", "Softmax", "Mean", "Quantize"])
def test_other_architectures_give_the_same_bytes(op, arch, tmp_path):
    graph = op_graphs.op_graph(op, True, COUNT, seed=7)
    inputs = op_graphs.random_inputs(graph, seed=8)
    here = runner.predict(graph, inputs, tmp_path)
    there = runner.predict(graph, inputs, tmp_path, arch=arch)
    assert [a.tobytes() for a in here] == [a.tobytes() for a in there]
