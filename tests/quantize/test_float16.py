import numpy as np
import pytest

from harness.graph import Node, Tensor
from harness.ops import infer_shapes, run_reference
from harness.pack import arithmetic
from harness.quantize import float16
from tests.support.graphs import Builder, small_network

F16, F32 = np.float16, np.float32


def one_layer(weights, bias=(0.0, 0.0)):
    b = Builder()
    x = b.input((1, np.shape(weights)[1]))
    inputs = [b.const(np.float32(values), name) for values, name in ((weights, "w"), (bias, "b"))]
    return b.build(b.node("FullyConnected", x, *inputs, name="layer"))


def stored(graph):
    (layer,) = (node for node in graph.nodes if node.op == "FullyConnected")
    return [graph.tensors[name] for name in layer.inputs[1:]]


def test_weights_and_bias_become_the_nearest_float16_ties_to_even():
    exact, tie = 1 + 2.0**-10, 1 + 2.0**-11
    graph = float16.convert(one_layer([[exact, tie], [0.1, -65504]], (1e-8, 3 * 2.0**-25)))
    weights, bias = stored(graph)
    assert (weights.dtype, bias.dtype) == (F16, F16)
    assert weights.data.tolist() == [[exact, 1.0], [float(F16(0.1)), -65504.0]]
    assert bias.data.tolist() == [0.0, 2 * 2.0**-24]  # below half of the smallest subnormal number; a tie
    assert [arithmetic(graph, node) for node in graph.nodes] == ["f16"]


@pytest.mark.parametrize("value", [65520.0, -1e30, np.inf, np.nan])
def test_a_constant_that_does_not_fit_stays_float32(value):
    weights, bias = stored(float16.convert(one_layer([[1, value], [2, 3]])))
    assert (weights.dtype, bias.dtype) == (F32, F32)  # a bias is float16 beside such weights only
    weights, bias = stored(float16.convert(one_layer([[1, 2], [2, 3]], (0, value))))
    assert (weights.dtype, bias.dtype) == (F16, F32)


def test_layers_that_share_weights_still_do():
    graph = small_network()
    layer = next(node for node in graph.nodes if node.op == "Conv2D")
    graph.tensors["twin"] = Tensor("twin", None, np.dtype(F32))
    graph.nodes.append(Node("Conv2D", "twin", list(layer.inputs), ["twin"], dict(layer.attrs)))
    graph.outputs.append("twin")
    halves = infer_shapes(float16.convert(graph))
    first, second = (node for node in halves.nodes if node.inputs[0] == layer.inputs[0])
    assert first.inputs == second.inputs


def test_large_constants_of_other_ops_are_read_through_a_dequantize():
    b = Builder()
    large, small = np.linspace(-1, 1, 1024, dtype=F32).reshape(1, 32, 32), np.ones((1, 1, 32), F32)
    y = b.node("Mul", b.node("Add", b.input((1, 32, 32)), b.const(large, "large")), b.const(small, "small"))
    graph = infer_shapes(float16.convert(b.build(y)))
    assert [node.op for node in graph.nodes] == ["Dequantize", "Add", "Mul"]
    assert graph.tensors[graph.nodes[0].inputs[0]].dtype == F16
    assert graph.tensors["small"].dtype == F32
    (out,) = run_reference(graph, {"x": np.zeros((1, 32, 32), F32)}).values()
    assert np.array_equal(out, large.astype(F16).astype(F32))


def test_converting_twice_changes_nothing_more():
    once = float16.convert(small_network())
    twice = float16.convert(once)
    assert {n: t.dtype for n, t in once.tensors.items()} == {n: t.dtype for n, t in twice.tensors.items()}


def test_the_form_that_tflite_has_computes_the_same():
    graph = infer_shapes(float16.convert(small_network()))
    through = infer_shapes(float16.through_dequantize(graph))
    x = np.random.default_rng(0).normal(size=graph.tensors["x"].shape).astype(F32)
    ours, theirs = (run_reference(g, {"x": x})[g.outputs[0]] for g in (graph, through))
    assert np.array_equal(ours, theirs)
    halves = {name for name, tensor in through.tensors.items() if tensor.dtype == F16}
    assert {node.op for node in through.nodes if halves & set(node.inputs)} == {"Dequantize"}
