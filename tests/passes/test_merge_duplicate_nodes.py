import numpy as np

from harness.graph import Node, Tensor
from harness.passes import merge_duplicate_nodes
from tests.support.graphs import F32, Builder
from tests.support.pass_graphs import assert_same_outputs


def ops(graph):
    return [node.op for node in graph.nodes]


def test_equal_nodes_behind_equal_nodes_are_one():
    b = Builder()
    x = b.input((1, 4))
    y = [b.node("Relu6", b.node("Relu", x)) for _ in range(2)]
    graph = b.build(b.node("Add", *y))
    after = merge_duplicate_nodes.run(graph)
    assert ops(after) == ["Relu", "Relu6", "Add"]
    assert_same_outputs(graph, after)


def test_an_attribute_left_out_is_its_default():
    b = Builder()
    x = b.input((1, 4))
    parts = b.node("Softmax", x), b.node("Softmax", x, beta=1.0), b.node("Softmax", x, beta=2.0)
    after = merge_duplicate_nodes.run(b.build(b.node("Concatenation", *parts, axis=1)))
    assert ops(after) == ["Softmax", "Softmax", "Concatenation"]


def test_equal_constants_are_stored_once_but_not_those_of_another_shape_or_type():
    b = Builder()
    x, values = b.input((1, 4)), np.zeros(4)
    y = b.node("Add", b.node("Mul", x, b.const(values)), b.const(values))
    y = b.node("Add", y, b.const(values.reshape(1, 4)))
    shape = b.const(np.zeros(4, np.int32) + [1, 1, 1, 4])
    graph = b.build(b.node("Reshape", y, shape))
    after = merge_duplicate_nodes.run(graph)
    assert sum(t.is_const for t in after.tensors.values()) == 3
    assert_same_outputs(graph, after)


def test_two_outputs_keep_their_names():
    b = Builder()
    x = b.input((1, 4))
    first, second, third = (b.node("Relu", x) for _ in range(3))
    graph = b.build(b.node("Relu6", first), second, third)
    after = merge_duplicate_nodes.run(graph)
    assert ops(after) == ["Relu", "Relu", "Relu6"]
    assert_same_outputs(graph, after)


def test_random_numbers_are_drawn_twice():
    b = Builder()
    graph = b.build(b.node("Relu", b.input((1, 4))))
    for name in ("r1", "r2"):
        graph.tensors[name] = Tensor(name, None, F32)
        graph.nodes.append(Node("RandomUniform", name, ["x"], [name]))
        graph.outputs.append(name)
    assert ops(merge_duplicate_nodes.run(graph)) == ops(graph)
