import numpy as np
import pytest

from harness.graph import Quantization
from harness.passes import fold_constants
from tests.support.graphs import Builder


def test_a_chain_of_constants_becomes_one():
    b = Builder()
    x = b.input((1, 3))
    rsqrt = b.node("Rsqrt", b.node("Add", b.const([3.0, 15.0, 24.0]), b.const(np.float32(1))))
    after = fold_constants.run(b.build(b.node("Mul", x, rsqrt)))
    assert [node.op for node in after.nodes] == ["Mul"]
    np.testing.assert_allclose(after.const(after.nodes[0].inputs[1]), [0.5, 0.25, 0.2])


def test_shapes_need_not_be_known():
    b = Builder()
    w = b.node("Transpose", b.const(np.zeros((3, 2))), b.const(np.array([1, 0], np.int32)))
    b.graph.outputs = [b.node("MatMul", b.input((1, 2)), w)]
    after = fold_constants.run(b.graph)
    assert after.const(after.nodes[0].inputs[1]).shape == (2, 3)


def test_weights_laid_out_anew_keep_their_name_unless_others_read_them():
    b = Builder()
    w = b.const(np.arange(6).reshape(3, 2), "weights")
    turned = b.node("Transpose", w, b.const(np.array([1, 0], np.int32)))
    product = b.node("MatMul", b.input((1, 2)), turned)
    alone = fold_constants.run(b.build(product))
    assert alone.nodes[0].inputs[1] == "weights"
    np.testing.assert_array_equal(alone.const("weights"), np.arange(6).reshape(3, 2).T)
    shared = fold_constants.run(b.build(b.node("MatMul", product, w)))
    np.testing.assert_array_equal(shared.const("weights"), np.arange(6).reshape(3, 2))
    assert shared.nodes[0].inputs[1] == turned


def test_a_graph_output_is_left():
    b = Builder()
    graph = b.build(b.node("Relu", b.const([1.0])))
    assert len(fold_constants.run(graph).nodes) == 1


@pytest.mark.parametrize("op", ["Dequantize", "Reshape"])
def test_quantized_constants_are_left(op):
    b = Builder()
    q = b.const(np.array([1, 2], np.int8))
    b.graph.tensors[q].quant = Quantization(0.5, 0)
    graph = b.build(b.node("Relu", b.node(op, q, shape=(2,))))
    assert [node.op for node in fold_constants.run(graph).nodes] == [op, "Relu"]


def test_a_few_bytes_do_not_grow_without_limit(monkeypatch):
    monkeypatch.setattr(fold_constants, "MAX_ELEMENTS", 100)
    b = Builder()
    column, row = b.const(np.ones((11, 1))), b.const(np.ones((1, 11)))
    graph = b.build(b.node("Relu", b.node("Mul", column, row)))
    assert [node.op for node in fold_constants.run(graph).nodes] == ["Mul", "Relu"]
