import numpy as np
import pytest

from harness.graph import Quantization
from harness.passes import fuse_activations
from tests.support.graphs import Builder
from tests.support.pass_graphs import assert_same_outputs


@pytest.mark.parametrize(("op", "activation"), [("Relu", "relu"), ("Relu6", "relu6")])
@pytest.mark.parametrize("before", ["Add", "AveragePool2D", "FullyConnected"])
def test_the_op_before_clamps(op, activation, before):
    b = Builder()
    x = b.input((1, 2, 2, 3))
    inputs = {"Add": [x, x], "AveragePool2D": [x], "FullyConnected": [x, b.const(np.eye(12)[:2], "w")]}[
        before
    ]
    attrs = {"filter": (2, 2)} if before == "AveragePool2D" else {}
    graph = b.build(b.node(op, b.node(before, *inputs, **attrs)))
    after = fuse_activations.run(graph)
    assert [(n.op, n.attrs["activation"]) for n in after.nodes] == [(before, activation)]
    assert_same_outputs(graph, after)


def test_a_second_activation_and_ops_that_cannot_clamp_are_left():
    b = Builder()
    x = b.input((1, 3))
    y = b.node("Relu6", b.node("Add", x, x, activation="relu_n1_to_1"))
    graph = b.build(y, b.node("Relu", b.node("Softmax", x)))
    assert fuse_activations.run(graph).nodes == graph.nodes


def test_a_value_seen_elsewhere_and_quantized_values_are_left():
    b = Builder()
    x = b.input((1, 3))
    y = b.node("Add", x, x)
    graph = b.build(b.node("Relu", y), y)
    assert fuse_activations.run(graph).nodes == graph.nodes
    graph.outputs.remove(y)
    for name in (y, *graph.outputs):
        graph.tensors[name].quant, graph.tensors[name].dtype = Quantization(0.5, 0), np.dtype(np.int8)
    assert fuse_activations.run(graph).nodes == graph.nodes
