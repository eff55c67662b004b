import numpy as np
import pytest

from harness.passes import fold_input_scales
from tests.support.graphs import Builder
from tests.support.pass_graphs import assert_same_outputs

WEIGHTS = {"Conv2D": (4, 3, 3, 2), "DepthwiseConv2D": (1, 3, 3, 6)}


def behind(op, before, bias=True, **attrs):
    """`op` over 1×6×6×2 behind what `before` makes of its input."""
    rng = np.random.default_rng(0)
    b = Builder()
    x = before(b, b.input((1, 6, 6, 2)), b.const(rng.normal(size=2), "values"))
    shape = WEIGHTS[op]
    inputs = [b.const(rng.normal(size=shape), "w")]
    if bias:
        inputs.append(b.const(rng.normal(size=shape[0] if op == "Conv2D" else shape[3]), "b"))
    if op == "DepthwiseConv2D":
        attrs["multiplier"] = 3
    return b.build(b.node(op, x, *inputs, **attrs))


def scale(b, x, values):
    return b.node("Mul", values, x)


def scale_and_shift(b, x, values):
    return b.node("Sub", b.const(np.float32(0.5)), b.node("Mul", x, values))


@pytest.mark.parametrize("op", WEIGHTS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("before", "padding", "left"),
    [(scale, "SAME", 0), (scale, "VALID", 0), (scale_and_shift, "VALID", 0), (scale_and_shift, "SAME", 2)],
)
def test_a_scale_always_folds_and_a_shift_where_nothing_is_padded(op, bias, before, padding, left):
    graph = behind(op, before, bias, padding=padding)
    after = fold_input_scales.run(graph)
    assert len(after.nodes) == 1 + left
    assert_same_outputs(graph, after)


def test_the_channels_of_a_flattened_image():
    rng = np.random.default_rng(1)
    b = Builder()
    parameters = [b.const(rng.uniform(0.5, 2, 3)) for _ in range(4)]
    y = b.node("BatchNorm", b.input((1, 2, 2, 3)), *parameters)
    graph = b.build(b.node("FullyConnected", y, b.const(rng.normal(size=(5, 12)), "w")))
    after = fold_input_scales.run(graph)
    assert [node.op for node in after.nodes] == ["FullyConnected"]
    assert_same_outputs(graph, after)


@pytest.mark.parametrize(
    "before",
    [
        lambda b, x, values: b.node("Mul", x, values, activation="relu"),
        lambda b, x, values: b.node("Mul", x, b.const(np.ones((6, 1)))),
        lambda b, x, values: b.node("Mul", x, x),
        lambda b, x, values: b.node("Mul", x, b.const(np.float32(3e38))),
    ],
    ids=["clamped", "per row", "squared", "too large"],
)
def test_other_products_stay(before):
    graph = behind("Conv2D", before)
    assert [n.op for n in fold_input_scales.run(graph).nodes] == [n.op for n in graph.nodes]


def test_a_product_that_others_read_stays():
    rng = np.random.default_rng(2)
    b = Builder()
    y = b.node("Mul", b.input((1, 4)), b.const(np.float32(2)))
    graph = b.build(b.node("FullyConnected", y, b.const(rng.normal(size=(3, 4)))), b.node("Relu", y))
    assert fold_input_scales.run(graph).nodes == graph.nodes
