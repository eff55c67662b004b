import numpy as np
import pytest

from harness.passes import convert_matmul
from tests.support.graphs import Builder
from tests.support.pass_graphs import assert_same_outputs


@pytest.mark.parametrize("transpose_b", [False, True])
def test_weights_are_turned_to_rows_of_outputs(transpose_b):
    b = Builder()
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    w = b.const(values.T if transpose_b else values, "w")
    graph = b.build(b.node("MatMul", b.input((4, 3)), w, transpose_b=transpose_b))
    after = convert_matmul.run(graph)
    assert [node.op for node in after.nodes] == ["FullyConnected"]
    np.testing.assert_array_equal(after.const(after.nodes[0].inputs[1]), values.T)
    assert_same_outputs(graph, after)


def test_weights_read_elsewhere_are_copied():
    b = Builder()
    w = b.const(np.arange(4).reshape(2, 2) * 1.0, "w")
    x = b.input((2, 2))
    graph = b.build(b.node("MatMul", x, w), b.node("Add", x, w))
    assert_same_outputs(graph, convert_matmul.run(graph))


@pytest.mark.parametrize("attrs", [{"transpose_a": True}, {}])
def test_other_products_are_left(attrs):
    b = Builder()
    x = b.input((2, 2))
    w = b.const(np.ones((2, 2)), "w") if attrs else b.node("Relu", x)
    graph = b.build(b.node("MatMul", x, w, **attrs))
    assert graph.nodes[-1] in convert_matmul.run(graph).nodes
