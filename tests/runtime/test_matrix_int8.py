"""int8 convolutions and fully connected layers: LiteRT's bytes, on every ISA variant."""

from __future__ import annotations

import numpy as np
import pytest

from harness import pack
from harness.exporters import tflite
from harness.graph import Graph, Node, Quantization, Tensor
from harness.ops import infer_shapes
from tests.support import runner
from tests.support.linear_checks import VARIANTS, check_variant_equals_scalar, skip_unless_it_runs
from tests.support.linear_graphs import OPS, S8, linear_graph, random_inputs
from tests.support.litert import Reference


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("seed", [1, 2])
def test_reference_loops_equal_litert(op, seed, tmp_path):
    graph = linear_graph(op, "int8", 100, seed)
    inputs = random_inputs(graph, seed)
    expected = Reference(tflite.write(graph)).run(*inputs)
    actual = runner.predict(graph, inputs, tmp_path, isa="scalar", sanitized=True)
    for node, ours, theirs in zip(graph.nodes, actual, expected, strict=True):
        assert np.array_equal(ours, theirs), (node, np.count_nonzero(ours != theirs))


@pytest.mark.parametrize("arithmetic", ["int8", "uint8"])
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(("arch", "isa"), VARIANTS)
def test_every_variant_equals_the_reference_loops(op, arithmetic, arch, isa, tmp_path):
    check_variant_equals_scalar(op, arithmetic, arch, isa, tmp_path)


@pytest.mark.parametrize("arithmetic", ["f32", "int8", "uint8", "hybrid"])
@pytest.mark.parametrize("op", OPS)
def test_micro_kernels_run_wherever_they_can(op, arithmetic, tmp_path):
    skip_unless_it_runs("x86_64", "avx2")
    graph = linear_graph(op, arithmetic, 40, seed=5)
    model = tmp_path / "model.qbm"
    pack.write(graph, model)
    nodes = runner.run("profile", "--model", model, "--runs", 1, isa="avx2").named("node")
    for node, event in zip(graph.nodes, nodes, strict=True):
        slow = op == "DepthwiseConv2D" and node.attrs["multiplier"] > 1
        assert event["kernel"].endswith("_reference" if slow else "_avx2"), node


def extreme_graph(depth: int, value: int, pair: tuple[int, int], rows: int) -> tuple[Graph, list[np.ndarray]]:
    """A fully connected layer whose weights are `pair` again and again, and its input."""
    graph = Graph("extreme")
    quant = Quantization(0.1, -128)
    graph.tensors["x"] = Tensor("x", (rows, depth), S8, None, quant)
    graph.tensors["y"] = Tensor("y", None, S8, None, Quantization(3.0, 127))
    scales = Quantization(np.full(5, 0.01), np.zeros(5), 0)
    weights = graph.add_const("w", np.resize(np.array(pair, np.int8), (5, depth)), scales)
    graph.inputs, graph.outputs = ["x"], ["y"]
    graph.nodes.append(Node("FullyConnected", "fc", ["x", weights], ["y"], {}))
    return infer_shapes(graph.verify()), [np.full((rows, depth), value, np.int8)]


@pytest.mark.parametrize("value", [-128, 127])
@pytest.mark.parametrize("pair", [(-127, -127), (127, 127), (127, -127), (-128, -128)])
@pytest.mark.parametrize("rows", [2, 40])
@pytest.mark.parametrize(("arch", "isa"), VARIANTS)
def test_extreme_values_do_not_overflow(value, pair, rows, arch, isa, tmp_path):
    skip_unless_it_runs(arch, isa)
    graph, inputs = extreme_graph(334, value, pair, rows)
    expected = Reference(tflite.write(graph)).run(*inputs)
    actual = runner.predict(graph, inputs, tmp_path, arch=arch, isa=isa)
    assert np.array_equal(actual[0], expected[0])


def nearly_dead_graph(seed: int) -> tuple[Graph, list[np.ndarray]]:
    """Convolutions with channels of next to no weights or none: their scale is tiny, the bias about 2^30."""
    rng = np.random.default_rng(seed)
    channels, graph = 21, Graph("nearly_dead")
    graph.tensors["x"] = Tensor("x", (1, 6, 5, channels), S8, None, Quantization(0.02, 3))
    graph.inputs = ["x"]
    for op, shape, axis in (
        ("Conv2D", (channels, 1, 1, channels), 0),
        ("Conv2D", (channels, 3, 3, channels), 0),
        ("DepthwiseConv2D", (1, 3, 3, channels), 3),
    ):
        name = f"{op}{shape[1]}"
        scale = rng.uniform(0.001, 0.1, channels).astype(np.float32)
        bias = rng.integers(-9999, 9999, channels).astype(np.int32)
        dead = rng.choice(channels, 9, replace=False)
        scale[dead] = 10.0 ** rng.uniform(-9, -7, 9)
        bias[dead] = rng.choice([-1, 1], 9) * rng.integers(2**30 - 2**20, 2**30 + 1, 9)
        scale[dead[:4]] = 10.0 ** rng.uniform(-12, -8, 4)
        values, zeros = rng.integers(-127, 128, shape, np.int8), np.zeros(channels)
        np.moveaxis(values, axis, 0)[dead[:4]] = 0
        weights = graph.add_const(f"{name}/w", values, Quantization(scale, zeros, axis))
        biases = graph.add_const(f"{name}/b", bias, Quantization(scale * np.float32(0.02), zeros, 0))
        graph.tensors[name] = Tensor(name, None, S8, None, Quantization(0.05, -7))
        attrs = {"strides": (1, 1), "padding": "SAME"} | ({"multiplier": 1} if axis == 3 else {})
        graph.nodes.append(Node(op, name, ["x", weights, biases], [name], attrs))
        graph.outputs.append(name)
    inputs = [rng.integers(-128, 128, (1, 6, 5, channels), np.int8)]
    return infer_shapes(graph.verify()), inputs


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("arch", "isa"), VARIANTS)
def test_channels_of_next_to_no_weights_leave_their_layer_fast(seed, arch, isa, tmp_path):
    skip_unless_it_runs(arch, isa)
    graph, inputs = nearly_dead_graph(seed)
    expected = Reference(tflite.write(graph)).run(*inputs)
    actual = runner.predict(graph, inputs, tmp_path, arch=arch, isa=isa)
    for ours, theirs in zip(actual, expected, strict=True):
        assert np.array_equal(ours, theirs)
    nodes = runner.run("profile", "--model", tmp_path / "model.qbm", "--runs", 1, arch=arch, isa=isa).named(
        "node"
    )
    assert not [node["kernel"] for node in nodes if node["kernel"].endswith("_reference")]


def test_sums_that_could_overflow_are_refused(tmp_path):
    graph, _ = extreme_graph(70_000, 127, (127, 127), 2)
    pack.write(graph, tmp_path / "model.qbm")
    outcome = runner.run("repeat", "--model", tmp_path / "model.qbm", "--runs", 1)
    assert outcome.exit_code == 2
    assert "'fc' (FULLY_CONNECTED): sums of output channel 0 can exceed 32 bits" in outcome.error


def test_weight_zero_points_are_refused(tmp_path):
    graph, _ = extreme_graph(8, 1, (1, 1), 2)
    weights = graph.tensors[graph.nodes[0].inputs[1]]
    weights.quant = Quantization(weights.quant.scale, np.full(5, 3), 0)
    pack.write(graph, tmp_path / "model.qbm")
    outcome = runner.run("repeat", "--model", tmp_path / "model.qbm", "--runs", 1)
    assert "zero point that is not 0" in outcome.error
