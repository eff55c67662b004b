import numpy as np
import pytest

from harness.errors import FormatError
from harness.passes import apply, remove_dropout
from tests.support.graphs import Builder


def network(dropout):
    """Relu, a dropout, Relu6; its nodes are opaque, as the importer leaves them."""
    b = Builder()
    x = b.node("Relu", b.input((1, 4)))
    b.graph.outputs = [b.node("Relu6", dropout(b, x))]
    return b.graph.verify()


def random(b, x):
    return b.node("RandomUniform", b.node("Shape", x))


def tensorflow_1(b, x):
    keep = b.input((), "keep_prob")
    noise = b.node("Add", b.node("Mul", random(b, x), b.const(1.0)), keep)
    return b.node("Mul", b.node("Div", x, keep), b.node("Floor", noise))


def tensorflow_2(b, x):
    mask = b.node("Cast", b.node("GreaterEqual", random(b, x), b.const(0.5)))
    return b.node("Mul", b.node("Mul", x, b.const(2.0)), mask)


def select(b, x):
    mask = b.node("GreaterEqual", random(b, x), b.const(0.5))
    return b.node("SelectV2", mask, b.node("Mul", b.const(2.0), x), b.const(0.0))


@pytest.mark.parametrize("dropout", [tensorflow_1, tensorflow_2, select])
def test_dropout_is_the_identity(dropout):
    after = apply(network(dropout))
    assert [node.op for node in after.nodes] == ["Relu", "Relu6"]
    assert after.inputs == ["x"]


def own_mask(b, x):
    return b.node(
        "Mul", b.node("Mul", x, b.const(2.0)), b.node("Cast", b.node("GreaterEqual", x, b.const(0.5)))
    )


def mask_of_values(b, x):
    noise = b.node("Add", random(b, x), b.node("Relu", x))
    return b.node("Mul", b.node("Div", x, b.const(0.5)), b.node("Floor", noise))


def unscaled(b, x):
    return b.node("Mul", x, b.node("Floor", random(b, x)))


@pytest.mark.parametrize("other", [own_mask, mask_of_values, unscaled])
def test_other_products_stay(other):
    graph = network(other)
    assert [n.op for n in remove_dropout.run(graph).nodes] == [n.op for n in graph.nodes]


@pytest.mark.parametrize("other", [mask_of_values, unscaled])
def test_random_numbers_that_stay_are_refused(other):
    with pytest.raises(FormatError, match="is not supported"):
        apply(network(other))


def test_dropout_of_an_input_straight_to_an_output_keeps_the_outputs_name():
    b = Builder()
    b.graph.outputs = [tensorflow_2(b, b.input((1, 4)))]
    after = remove_dropout.run(b.graph.verify())
    assert [node.op for node in after.nodes if node.outputs == b.graph.outputs] == ["Identity"]
    assert np.array_equal(after.outputs, b.graph.outputs)
