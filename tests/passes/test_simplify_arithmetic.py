import numpy as np
import pytest

from harness.passes import simplify_arithmetic
from tests.support.graphs import Builder
from tests.support.pass_graphs import assert_same_outputs


class Sums(Builder):
    """Arithmetic in one line each."""

    def number(self, value):
        return self.const(np.float32(value)) if isinstance(value, int | float | list) else value

    def add(self, a, b, **attrs):
        return self.node("Add", self.number(a), self.number(b), **attrs)

    def sub(self, a, b, **attrs):
        return self.node("Sub", self.number(a), self.number(b), **attrs)

    def mul(self, a, b, **attrs):
        return self.node("Mul", self.number(a), self.number(b), **attrs)


def simplified(*outputs):
    """What `outputs`, made of a builder and inputs a and c, become; checked to compute the same."""
    s = Sums()
    a, c = s.node("Relu", s.input((2, 3), "a")), s.node("Relu6", s.input((2, 3), "c"))
    graph = s.build(*(make(s, a, c) for make in outputs))
    after = simplify_arithmetic.run(graph)
    assert_same_outputs(graph, after)
    return after, [node for node in after.execution_order() if node.op not in ("Relu", "Relu6")]


def constants(graph, node):
    return [graph.const(name).tolist() for name in node.inputs if graph.const(name) is not None]


def test_3a_4a_5a_is_12a():
    after, (node,) = simplified(lambda s, a, c: s.add(s.add(s.mul(3, a), s.mul(a, 4)), s.mul(a, 5)))
    assert node.op == "Mul"
    assert constants(after, node) == [12.0]


def test_a_run_of_products_and_sums_is_one_of_each():
    after, nodes = simplified(lambda s, a, c: s.sub(9, s.mul(s.add(s.mul(a, 2), [1, 2, 3]), 3)))
    assert [(n.op, *constants(after, n)) for n in nodes] == [("Mul", -6.0), ("Add", [6.0, 3.0, 0.0])]


def test_constants_on_both_sides_of_a_sum_meet():
    after, nodes = simplified(lambda s, a, c: s.add(s.add(a, 1), s.sub(c, 3)))
    assert [(n.op, *constants(after, n)) for n in nodes] == [("Add",), ("Add", -2.0)]


@pytest.mark.parametrize(
    "make",
    [
        lambda s, a, c: s.mul(a, 1),
        lambda s, a, c: s.mul([1, 1, 1], a),
        lambda s, a, c: s.add(0, a),
        lambda s, a, c: s.sub(a, [0, 0, 0]),
        lambda s, a, c: s.sub(s.add(a, 2), 2),
        lambda s, a, c: s.mul(s.mul(a, 4), 0.25),
        lambda s, a, c: s.add(s.mul(a, 0.5), s.mul(a, 0.5)),
    ],
)
def test_what_changes_nothing_goes(make):
    _, nodes = simplified(make)
    assert nodes == []


@pytest.mark.parametrize(
    ("make", "ops"),
    [
        (lambda s, a, c: s.sub(3, a), ["Sub"]),
        (lambda s, a, c: s.sub(0, a), ["Sub"]),
        (lambda s, a, c: s.add(a, a), ["Add"]),
        (lambda s, a, c: s.mul(s.add(a, c), 2), ["Add", "Mul"]),
        (lambda s, a, c: s.mul(a, c), ["Mul"]),
        (lambda s, a, c: s.mul(s.mul(a, [1, 2, 3]), s.const(np.ones((2, 1)) * 2)), ["Mul", "Mul"]),
        (lambda s, a, c: s.add(s.mul(a, 2, activation="relu"), s.mul(a, 3)), ["Mul", "Mul", "Add"]),
        (lambda s, a, c: s.add(a, s.const(np.zeros((4, 1, 1)))), ["Add"]),
    ],
    ids=["3-a", "0-a", "a+a", "(a+c)2", "ac", "outer product", "clamped", "broadcast"],
)
def test_what_is_simple_already_stays(make, ops):
    _, nodes = simplified(make)
    assert sorted(node.op for node in nodes) == sorted(ops)


def test_factors_that_float32_cannot_hold_stay_apart():
    s = Sums()
    graph = s.build(s.mul(s.mul(s.input((1, 2)), 3e38), 10))
    assert simplify_arithmetic.run(graph).nodes == graph.nodes


def test_the_last_activation_stays():
    _, (node,) = simplified(lambda s, a, c: s.add(s.mul(3, a), s.mul(a, -4), activation="relu6"))
    assert node.attrs == {"activation": "relu6"}


def test_values_that_others_read_are_still_computed():
    s = Sums()
    twice = s.mul(s.input((2, 3)), 2)
    graph = s.build(s.add(twice, s.mul("x", 3)), s.node("Relu", twice))
    after = simplify_arithmetic.run(graph)
    assert_same_outputs(graph, after)
    assert sorted(node.op for node in after.nodes) == ["Add", "Mul", "Mul", "Relu"]


def test_sums_of_sums_take_no_longer_than_they_are_long():
    s = Sums()
    y = s.input((1, 2))
    for _ in range(300):
        y = s.mul(s.add(y, y), 0.5)
    for _ in range(300):
        y = s.mul(s.add(y, 1), 1)
    (node,) = simplify_arithmetic.run(s.build(y)).nodes
    assert node.op == "Add"
