import numpy as np

from harness.passes import merge_transposes
from harness.passes.strip_unused_nodes import run as strip
from tests.support.graphs import Builder
from tests.support.pass_graphs import assert_same_outputs


def perm(b, *axes):
    return b.const(np.array(axes, np.int32), "perm")


def test_two_are_one():
    b = Builder()
    y = b.node("Transpose", b.input((2, 3, 4)), perm(b, 1, 2, 0))
    graph = b.build(b.node("Transpose", y, perm(b, 0, 2, 1)))
    after = merge_transposes.run(graph)
    assert [after.const(n.inputs[1]).tolist() for n in after.nodes] == [[1, 0, 2]]
    assert_same_outputs(graph, after)


def test_there_and_back_is_nothing():
    b = Builder()
    y = b.node("Transpose", b.node("Relu", b.input((2, 3, 4))), perm(b, 1, 2, 0))
    graph = b.build(b.node("Relu6", b.node("Transpose", y, perm(b, 2, 0, 1))))
    after = merge_transposes.run(graph)
    assert [node.op for node in after.nodes] == ["Relu", "Relu6"]
    assert_same_outputs(graph, after)


def test_the_first_stays_for_its_other_readers():
    b = Builder()
    y = b.node("Transpose", b.input((2, 3, 4)), perm(b, 1, 2, 0))
    graph = b.build(b.node("Transpose", y, perm(b, 1, 0, 2)), b.node("Relu", y))
    after = merge_transposes.run(graph)
    assert len(after.nodes) == 3
    assert all(node.inputs[0] == "x" for node in after.nodes if node.op == "Transpose")
    assert_same_outputs(graph, after)


def test_moving_only_axes_of_length_1_is_a_reshape():
    b = Builder()
    graph = b.build(b.node("Transpose", b.input((1, 5, 1, 3)), perm(b, 1, 3, 0, 2)))
    after = merge_transposes.run(graph)
    assert [(n.op, n.attrs) for n in strip(after).nodes] == [("Reshape", {"shape": (5, 3, 1, 1)})]
    assert_same_outputs(graph, after)
