import numpy as np
import pytest

from harness.passes import convert_matmul, fold_batch_norms
from tests.support.graphs import Builder
from tests.support.pass_graphs import assert_same_outputs, fused_batch_norm, matmuls


def ops(graph):
    return [node.op for node in graph.nodes]


def convolution(b, **attrs):
    return b.node("Conv2D", b.input((1, 2, 2, 1)), b.const(np.ones((3, 1, 1, 1)), "w"), **attrs)


def test_statistics_become_weights_and_bias():
    b = Builder()
    y = b.node("Conv2D", b.input((1, 1, 1, 1)), b.const([[[[3.0]]]], "w"), b.const([5.0], "b"))
    gamma, beta, mean, variance = (b.const([v]) for v in (2.0, 7.0, 11.0, 15.0))
    after = fold_batch_norms.run(b.build(b.node("BatchNorm", y, gamma, beta, mean, variance, epsilon=1.0)))
    (conv,) = after.nodes
    assert after.const(conv.inputs[1]).item() == 3 * 2 / 4
    assert after.const(conv.inputs[2]).item() == (5 - 11) * 2 / 4 + 7


@pytest.mark.parametrize("epsilon", [1e-3, 0.5])
def test_epsilon_matters(epsilon):
    graph = fused_batch_norm(epsilon)
    after = fold_batch_norms.run(graph)
    assert ops(after) == ["Conv2D", "Relu", "Reshape", "FullyConnected"]
    assert_same_outputs(graph, after)


@pytest.mark.parametrize("shape", [(3,), (1, 1, 1, 3), (1, 3), (), (1,)])
def test_factor_of_any_shape_that_varies_by_channel_only(shape):
    b = Builder()
    factor = b.const(np.random.default_rng(0).normal(size=shape), "factor")
    graph = b.build(b.node("Mul", factor, convolution(b)))
    after = fold_batch_norms.run(graph)
    assert ops(after) == ["Conv2D"]
    assert_same_outputs(graph, after)


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 1, 1), (2, 2, 3), (1, 1, 1, 1, 3), (2, 1, 1, 3)])
def test_factor_that_varies_otherwise_is_left(shape):
    b = Builder()
    graph = b.build(b.node("Mul", convolution(b), b.const(np.ones(shape), "factor")))
    assert ops(fold_batch_norms.run(graph)) == ["Conv2D", "Mul"]


def test_a_vector_is_not_stretched_over_one_channel():
    b = Builder()
    y = b.node("Conv2D", b.input((1, 2, 2, 1)), b.const(np.ones((1, 1, 1, 1)), "w"))
    graph = b.build(b.node("Mul", y, b.const(np.ones(3), "factor")))
    assert ops(fold_batch_norms.run(graph)) == ["Conv2D", "Mul"]


def test_nothing_folds_through_an_activation():
    b = Builder()
    graph = b.build(b.node("Mul", convolution(b, activation="relu"), b.const([-1.0, 2.0, 3.0])))
    assert ops(fold_batch_norms.run(graph)) == ["Conv2D", "Mul"]


def test_a_clamped_product_hands_its_activation_on():
    b = Builder()
    graph = b.build(b.node("Mul", convolution(b), b.const([-1.0, 2.0, 3.0]), activation="relu6"))
    after = fold_batch_norms.run(graph)
    assert [(n.op, n.attrs["activation"]) for n in after.nodes] == [("Conv2D", "relu6")]
    assert_same_outputs(graph, after)


def test_nothing_folds_where_someone_else_sees_the_value():
    b = Builder()
    y = convolution(b)
    scaled = b.node("Mul", y, b.const([1.0, 2.0, 3.0]))
    assert ops(fold_batch_norms.run(b.build(scaled, y))) == ["Conv2D", "Mul"]
    assert ops(fold_batch_norms.run(b.build(scaled, b.node("Relu", y)))) == ["Conv2D", "Mul", "Relu"]


def test_shared_weights_are_not_changed_under_the_other_reader():
    b = Builder()
    x, w = b.input((1, 2, 2, 1)), b.const(np.ones((3, 1, 1, 1)), "w")
    first = b.node("Mul", b.node("Conv2D", x, w), b.const([1.0, 2.0, 3.0]))
    graph = b.build(first, b.node("Conv2D", x, w))
    after = fold_batch_norms.run(graph)
    assert ops(after) == ["Conv2D", "Conv2D"]
    assert_same_outputs(graph, after)


def test_matmul_has_no_bias_but_can_be_scaled():
    graph = matmuls()
    assert ops(fold_batch_norms.run(graph)).count("Mul") == 0
    assert ops(fold_batch_norms.run(convert_matmul.run(graph))).count("Mul") == 0
