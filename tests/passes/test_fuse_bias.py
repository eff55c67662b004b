import numpy as np
import pytest

from harness.graph import OPTIONAL, Quantization
from harness.passes import fuse_bias
from tests.support.graphs import Builder


@pytest.mark.parametrize("op", ["Add", "BiasAdd"])
@pytest.mark.parametrize("bias", [None, OPTIONAL, [10.0, 20.0]])
def test_the_constant_joins_the_bias(op, bias):
    b = Builder()
    w = b.const(np.ones((2, 3)), "w")
    given = [] if bias is None else [OPTIONAL if bias == OPTIONAL else b.const(bias, "b")]
    y = b.node("FullyConnected", b.input((1, 3)), w, *given)
    after = fuse_bias.run(b.build(b.node(op, y, b.const([1.0, 2.0]))))
    (layer,) = after.nodes
    expected = np.array([1.0, 2.0]) + (bias if isinstance(bias, list) else 0)
    np.testing.assert_array_equal(after.const(layer.inputs[2]), expected)
    assert layer.inputs[1] == "w"  # weights as they were


def test_multiplications_are_left_to_other_passes():
    b = Builder()
    y = b.node("FullyConnected", b.input((1, 3)), b.const(np.ones((2, 3)), "w"))
    graph = b.build(b.node("Add", b.node("Mul", y, b.const([1.0, 2.0])), b.const([1.0, 2.0])))
    assert fuse_bias.run(graph).nodes == graph.nodes


def test_a_residual_is_no_bias():
    b = Builder()
    x = b.input((1, 3))
    y = b.node("FullyConnected", x, b.const(np.ones((3, 3)), "w"))
    graph = b.build(b.node("Add", y, x))
    assert fuse_bias.run(graph).nodes == graph.nodes


def test_quantized_layers_are_left():
    b = Builder()
    w = b.const(np.ones((2, 3), np.int8), "w")
    b.graph.tensors[w].quant = Quantization(0.5, 0)
    graph = b.build(b.node("Add", b.node("FullyConnected", b.input((1, 3)), w), b.const([1.0, 2.0])))
    assert fuse_bias.run(graph).nodes == graph.nodes
