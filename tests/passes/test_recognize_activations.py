import math

import numpy as np
import pytest

from harness.passes import apply, recognize_activations
from tests.support.graphs import Builder
from tests.support.pass_graphs import assert_same_outputs


def c(b, value):
    return b.const(np.float32(value))


def swish(b, x):
    return b.node("Mul", b.node("Logistic", x), x)


def hard_swish(b, x):
    return b.node("Mul", b.node("Mul", x, b.node("Relu6", b.node("Add", x, c(b, 3)))), c(b, 1 / 6))


def hard_swish_fused(b, x):
    gate = b.node("Add", c(b, 3), x, activation="relu6")
    return b.node("Mul", b.node("Mul", gate, c(b, 1 / 6)), x)


def gelu(b, x):
    erf = b.node("Erf", b.node("Mul", x, c(b, math.sqrt(0.5))))
    return b.node("Mul", b.node("Mul", c(b, 0.5), x), b.node("Add", c(b, 1), erf))


def gelu_by_tanh(b, x):
    cube = b.node("Mul", b.node("Mul", x, x), x)
    inner = b.node("Add", x, b.node("Mul", cube, c(b, 0.044715)))
    tanh = b.node("Tanh", b.node("Mul", inner, c(b, math.sqrt(2 / math.pi))))
    return b.node("Mul", x, b.node("Mul", b.node("Add", tanh, c(b, 1)), c(b, 0.5)))


def network(pattern):
    b = Builder()
    return b.build(b.node("Softmax", pattern(b, b.node("Softmax", b.input((3, 9)), beta=0.5))))


@pytest.mark.parametrize(
    ("pattern", "op"),
    [
        (swish, "Swish"),
        (hard_swish, "HardSwish"),
        (hard_swish_fused, "HardSwish"),
        (gelu, "Gelu"),
        (gelu_by_tanh, "Gelu"),
    ],
)
def test_one_op_stands_for_the_arithmetic(pattern, op):
    graph = network(pattern)
    after = apply(graph, ["recognize_activations", "strip_unused_nodes"])
    assert [node.op for node in after.nodes] == ["Softmax", op, "Softmax"]
    assert_same_outputs(graph, after)


def wrong_constant(b, x):
    return b.node("Mul", b.node("Mul", x, b.node("Relu6", b.node("Add", x, c(b, 2)))), c(b, 1 / 6))


def another_value(b, x):
    return b.node("Mul", b.node("Logistic", b.node("Relu", x)), x)


@pytest.mark.parametrize("pattern", [wrong_constant, another_value])
def test_other_products_stay(pattern):
    graph = network(pattern)
    assert recognize_activations.run(graph).nodes == graph.nodes


def test_what_others_read_stays():
    b = Builder()
    gate = b.node("Logistic", b.input((1, 4)))
    graph = b.build(b.node("Mul", "x", gate), gate)
    assert recognize_activations.run(graph).nodes == graph.nodes
