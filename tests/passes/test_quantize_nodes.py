import numpy as np
import pytest

from harness.errors import UsageError
from harness.ops import run_reference
from harness.pack import arithmetic, pack
from harness.passes import quantize_nodes, quantize_weights
from harness.quantize import hybrid, int8
from harness.quantize.calibrate import Range
from tests.support.graphs import Builder, small_network

FALLBACK = {"fallback_min": -3.0, "fallback_max": 3.0}


def ranges(graph):
    return {name: Range(-3.0, 3.0) for name in graph.tensors}


def test_without_ranges_each_op_finds_its_own():
    graph = small_network()
    quantized = quantize_nodes.run(graph)
    assert pack(quantized) == pack(hybrid.quantize(graph))
    assert {arithmetic(quantized, node) for node in quantized.nodes} == {"hybrid", "f32"}


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_stages_with_fallback_ranges(stage):
    graph = small_network()
    assert pack(quantize_nodes.run(graph, stage=stage, **FALLBACK)) == pack(
        int8.quantize(graph, ranges(graph), stage)
    )


def test_the_last_stage_by_default():
    graph = small_network()
    assert pack(quantize_nodes.run(graph, **FALLBACK)) == pack(int8.quantize(graph, ranges(graph)))


def test_ranges_are_calibrated_on_the_expanded_graph_and_the_fallback_fills_in():
    graph, seen = quantize_weights.run(small_network(), minimum_size=1), []

    def calibrate(float_graph):
        seen.append(float_graph)
        assert "Dequantize" not in {node.op for node in float_graph.nodes}
        return {"x": Range(-1.0, 1.0)}

    quantized = quantize_nodes.run(graph, calibrate=calibrate, **FALLBACK)
    assert len(seen) == 1
    assert quantized.tensors["x"].quant.scale[0] == np.float32(2 / 255)
    assert quantized.tensors[quantized.nodes[0].outputs[0]].quant.scale[0] == np.float32(6 / 255)


def test_input_range_goes_before_the_fallback():
    quantized = quantize_nodes.run(small_network(), input_min=0.0, input_max=1.0, **FALLBACK)
    assert quantized.tensors["x"].quant.scale[0] == np.float32(1 / 255)


def after_quantize_weights(op, values, **params):
    """The graph of one op whose weights went through both passes, and those weights."""
    b = Builder()
    x = b.input((1, 2) if op == "FullyConnected" else (1, 2, 2, 2))
    graph = b.build(b.node(op, x, b.const(values, "w")))
    quantized = quantize_nodes.run(quantize_weights.run(graph, minimum_size=1), **params)
    return quantized, next(t for t in quantized.tensors.values() if t.is_const)


def test_hybrid_ops_read_stored_weights_as_they_are():
    quantized, weights = after_quantize_weights("FullyConnected", np.float32([[1.0, -1.0], [0.01, 0.02]]))
    assert [arithmetic(quantized, node) for node in quantized.nodes] == ["hybrid"]
    assert not weights.quant.per_channel
    assert weights.data.tolist() == [[127, -127], [1, 3]]


@pytest.mark.parametrize(("op", "params"), [("FullyConnected", FALLBACK), ("DepthwiseConv2D", {})])
def test_else_stored_weights_are_quantized_again_per_channel(op, params):
    values = np.float32([[1.0, -1.0], [0.01, 0.02]])
    values = values if op == "FullyConnected" else values.reshape(1, 1, 2, 2)
    quantized, weights = after_quantize_weights(op, values, **params)
    assert len(quantized.nodes) == 1
    assert weights.quant.per_channel
    step = 1 / 127  # of quantize_weights; the second rounding is finer in the second channel
    assert np.abs(weights.quant.dequantize(weights.data) - values).max() <= step


def test_ops_that_only_tensorflow_has_are_quantized_too():
    b = Builder()
    y = b.node("MatMul", b.input((1, 3)), b.const(np.eye(3), "w"))
    y = b.node("BiasAdd", y, b.const(np.float32([1, 2, 3]), "b"))
    quantized = quantize_nodes.run(b.build(y), **FALLBACK)
    assert [node.op for node in quantized.nodes] == ["FullyConnected", "Add"]
    assert {tensor.dtype for tensor in quantized.tensors.values()} == {np.dtype(np.int8)}


def test_outputs_stay_near():
    graph = small_network()
    x = np.random.default_rng(0).normal(size=(1, 9, 9, 3)).astype(np.float32)
    (before,), (after,) = (run_reference(g, {"x": x}).values() for g in (graph, quantize_nodes.run(graph)))
    assert np.abs(after - before).max() < 0.02


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"stage": 4, **FALLBACK}, "stage=4, but the stages are 1, 2, 3"),
        ({"stage": 2}, "a stage needs the range of every activation"),
        ({"input_min": 0.0, "input_max": 1.0}, "a stage needs the range of every activation"),
        ({"fallback_min": 1.0}, "fallback_min=1.0 and fallback_max=None are no range"),
        ({"fallback_min": 1.0, "fallback_max": 1.0}, "are no range"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(UsageError, match=message):
        quantize_nodes.run(small_network(), **params)
