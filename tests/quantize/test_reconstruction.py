"""Rounding by reconstruction: never worse than rounding to nearest, on every kind of layer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.graph import Node
from harness.ops import spec
from harness.quantize import reconstruction
from harness.quantize.reconstruction import (
    adaround,
    as_matrices,
    as_weights,
    descent,
    errors,
    patches,
    reconstructed,
)

LAYERS = {
    "Conv2D": ((6, 3, 3, 4), {"padding": "SAME", "stride": (2, 1)}, (3, 7, 6, 4)),
    "DepthwiseConv2D": ((1, 3, 3, 8), {"padding": "SAME", "multiplier": 2}, (3, 7, 6, 4)),
    "FullyConnected": ((5, 12), {}, (9, 12)),
}


def moments_of(rows: np.ndarray) -> np.ndarray:
    return rows.swapaxes(1, 2) @ rows / rows.shape[1]


@given(seed=st.integers(0, 10**6), correlation=st.floats(0, 3))
def test_descent_never_rises_above_nearest_rounding(seed, correlation):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(2, 40, 6)) + correlation * rng.normal(size=(2, 40, 1))
    steps = rng.uniform(-100, 100, (2, 3, 6))
    nearest, moments = np.round(steps), moments_of(rows)
    found = descent(steps, nearest, moments)
    assert (errors(found, steps, moments) <= errors(nearest, steps, moments) + 1e-9).all()
    np.testing.assert_array_equal(found, np.round(found))


@pytest.mark.parametrize("method", [descent, adaround])
@pytest.mark.parametrize("op", LAYERS)
def test_a_layers_output_error_falls(op, method):
    shape, attrs, inputs = LAYERS[op]
    rng = np.random.default_rng(3)
    x = (rng.normal(size=inputs) + 2).astype(np.float32)
    weights, node = rng.normal(size=shape).astype(np.float32), Node(op, "layer", [], [], attrs)
    axis = reconstruction.axis_of(node)
    scales = np.abs(weights).max(tuple(i for i in range(weights.ndim) if i != axis)) / 7  # coarse
    along = scales.reshape([-1 if i == axis else 1 for i in range(weights.ndim)])
    rows = patches(node, x, shape, 10_000)
    found = reconstructed(method, node, weights, scales, moments_of(rows.astype(np.float64)))
    (exact,) = spec(node).reference(node, [x, weights, None])

    def error(integers: np.ndarray) -> float:
        (y,) = spec(node).reference(node, [x, (integers * along).astype(np.float32), None])
        return float(np.square(y - exact).sum())

    assert error(found) < 0.9 * error(np.round(weights / along))


@pytest.mark.parametrize("op", LAYERS)
def test_matrices_multiply_patches_as_the_layer_does(op):
    shape, attrs, inputs = LAYERS[op]
    rng = np.random.default_rng(4)
    x, weights = rng.normal(size=inputs).astype(np.float32), rng.normal(size=shape).astype(np.float32)
    node = Node(op, "layer", [], [], attrs)
    rows = patches(node, x, shape, 10_000)
    matrices = as_matrices(node, weights, len(rows))
    products = np.einsum("grk,gok->rgo", rows, matrices)
    (exact,) = spec(node).reference(node, [x, weights, None])
    np.testing.assert_allclose(products.reshape(exact.shape), exact, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(as_weights(node, matrices, shape), weights)


def test_patches_are_drawn_the_same_every_time_and_no_more_than_asked_for():
    node = Node("Conv2D", "layer", [], [], {"padding": "SAME"})
    x = np.random.default_rng(5).normal(size=(2, 9, 9, 3)).astype(np.float32)
    first, second = (patches(node, x, (4, 3, 3, 3), 20) for _ in range(2))
    assert first.shape == (1, 20, 27)
    np.testing.assert_array_equal(first, second)


def test_an_input_that_is_always_zero_leaves_the_nearest_weights():
    steps = np.array([[[1.4, 2.6]]])
    np.testing.assert_array_equal(descent(steps, np.round(steps), np.zeros((1, 2, 2))), np.round(steps))
