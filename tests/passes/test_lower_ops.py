import numpy as np

from harness.pack import pack
from harness.passes import apply, lower_ops
from tests.support.graphs import Builder
from tests.support.pass_graphs import assert_same_outputs


def test_a_batch_norm_with_nothing_in_front_runs_as_product_and_sum():
    rng = np.random.default_rng(0)
    b = Builder()
    x = b.node("MaxPool2D", b.input((1, 4, 4, 3)), filter=(2, 2))
    y = b.node("BatchNorm", x, *(b.const(rng.uniform(0.5, 2, 3)) for _ in range(4)), epsilon=0.1)
    graph = b.build(b.node("Relu", b.node("BiasAdd", y, b.const(rng.normal(size=3)))))
    after = lower_ops.run(graph)
    assert sorted(n.op for n in after.nodes) == ["Add", "Add", "MaxPool2D", "Mul", "Relu"]
    assert_same_outputs(graph, after)
    packed = apply(graph)
    assert [n.op for n in packed.nodes] == ["MaxPool2D", "Mul", "Add"]
    pack(packed)


def test_a_quotient_by_a_constant_is_a_product():
    b = Builder()
    x = b.input((2, 3))
    y = b.node("Div", b.node("Div", x, b.const([1.0, 2.0, 3.0])), b.const(np.float32(7)), activation="relu")
    graph = b.build(b.node("Div", y, b.const([0.0, 1.0, 2.0])), b.node("Div", b.const(1.0), x))
    after = lower_ops.run(graph)
    assert [node.op for node in after.nodes] == ["Mul", "Mul", "Div", "Div"]
    assert after.nodes[1].attrs == {"activation": "relu"}
    assert [node.op for node in apply(b.build(y)).nodes] == ["Mul"]


def test_parameters_that_are_not_constant_stay():
    b = Builder()
    parameters = [b.input((3,), name) for name in "gbmv"]
    graph = b.build(b.node("BatchNorm", b.input((1, 3)), *parameters))
    assert lower_ops.run(graph).nodes == graph.nodes
