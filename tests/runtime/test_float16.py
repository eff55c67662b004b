"""float16 weights: expanded exactly on every architecture, and float16 arithmetic within its stated bound."""

from __future__ import annotations

import numpy as np
import pytest

from harness import pack
from harness.graph import Graph
from harness.ops import infer_shapes
from harness.quantize import float16
from tests.runtime.test_matrix_f32 import magnitudes
from tests.support import runner
from tests.support.graphs import Builder
from tests.support.linear_checks import VARIANTS, skip_unless_it_runs
from tests.support.linear_graphs import OPS, linear_graph, random_inputs

EXACT = [(runner.HOST, "scalar"), *(v for v in VARIANTS if v[1] not in ("dotprod", "i8mm"))]
U = 2.0**-11  # half a unit in the last place of a float16 in [1, 2)


def in_float32(graph: Graph) -> Graph:
    """The same weights as float32."""
    graph = graph.clone()
    for tensor in graph.tensors.values():
        if tensor.dtype == np.float16:
            tensor.data, tensor.dtype = tensor.data.astype(np.float32), np.dtype(np.float32)
    return graph


def native(graph: Graph, inputs: list[np.ndarray], folder) -> list[np.ndarray]:
    return runner.predict(graph, inputs, folder, arch="aarch64", isa="fp16")


@pytest.mark.parametrize("arch", sorted({"aarch64", "armv7", runner.HOST}))
def test_every_float16_becomes_its_float32(arch, tmp_path):
    values = np.arange(2**16, dtype=np.uint16).view(np.float16)
    values = values[~np.isnan(values)]
    b = Builder()
    stored = b.graph.add_const("stored", values.reshape(1, -1))
    graph = b.build(b.node("Mul", b.input((1, 1)), b.node("Dequantize", stored)))
    (expanded,) = runner.predict(graph, [np.ones((1, 1), np.float32)], tmp_path, arch=arch, isa="scalar")
    assert expanded.tobytes() == values.astype(np.float32).tobytes()


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(("arch", "isa"), EXACT)
def test_float32_kernels_compute_with_the_weights_values(op, arch, isa, tmp_path):
    skip_unless_it_runs(arch, isa)
    graph = infer_shapes(float16.convert(linear_graph(op, "f32", 80 if arch == runner.HOST else 30, seed=31)))
    inputs = random_inputs(graph, seed=32)
    expected = runner.predict(in_float32(graph), inputs, tmp_path, isa="scalar")
    actual = runner.predict(graph, inputs, tmp_path, arch=arch, isa=isa, sanitized=arch == runner.HOST)
    for node, ours, reference in zip(graph.nodes, actual, expected, strict=True):
        assert ours.tobytes() == reference.tobytes(), node


@pytest.mark.parametrize("op", ["Conv2D", "FullyConnected"])
@pytest.mark.parametrize("size", [1.0, 1e-9, 3e4])
def test_float16_arithmetic_keeps_its_bound(op, size, tmp_path):
    """Whatever the size of the inputs: beyond float16's range, or where float16 is subnormal."""
    graph = infer_shapes(float16.convert(linear_graph(op, "f32", 30, seed=33)))
    inputs = [x * np.float32(size) for x in random_inputs(graph, seed=34)]
    exact = in_float32(graph)
    expected = runner.predict(exact, inputs, tmp_path)
    actual, bounds = native(graph, inputs, tmp_path), magnitudes(exact, inputs)
    for node, x, ours, reference, bound in zip(graph.nodes, inputs, actual, expected, bounds, strict=True):
        w = exact.tensors[node.inputs[1]].data
        subnormal = w[0].size * 2.0**-20 * np.abs(x).max() * np.abs(w).max()
        assert np.all(np.abs(ours - reference) <= 33 * U * bound + subnormal), node
    assert any(not np.array_equal(*pair) for pair in zip(actual, expected, strict=True))


def test_infinite_inputs_stay_in_their_row(tmp_path):
    b = Builder()
    weights = b.graph.add_const("w", np.ones((3, 40), np.float16))
    graph = b.build(b.node("FullyConnected", b.input((2, 40)), weights))
    x = np.ones((2, 40), np.float32)
    x[0, 7] = np.inf
    (y,) = native(graph, [x], tmp_path)
    assert np.all(np.isinf(y[0]))
    assert y[1].tolist() == [40.0] * 3


def kernels(graph: Graph, folder, isa: str) -> set[str]:
    pack.write(graph, folder / "model.qbm")
    outcome = runner.run("profile", "--model", folder / "model.qbm", "--runs", 1, arch="aarch64", isa=isa)
    return {node["kernel"] for node in outcome.named("node")}


def test_only_float16_weights_are_computed_in_float16(tmp_path):
    graph = linear_graph("FullyConnected", "f32", 2, seed=1)
    assert kernels(graph, tmp_path, "fp16") == {"gemm_f32_neon"}
    halves = infer_shapes(float16.convert(graph))
    assert kernels(halves, tmp_path, "fp16") == {"gemm_f16_fp16"}
    assert kernels(halves, tmp_path, "neon") == {"gemm_f32_neon"}


def test_activations_are_never_float16(tmp_path):
    graph = linear_graph("FullyConnected", "f32", 1, seed=1)
    for name in (graph.inputs[0], graph.outputs[0]):
        wrong = graph.clone()
        wrong.tensors[name].dtype = np.dtype(np.float16)
        pack.write(wrong, tmp_path / "model.qbm")
        outcome = runner.run("predict", "--model", tmp_path / "model.qbm", "--input", "x", "--output", "y")
        assert "only constants can be float16" in outcome.error
