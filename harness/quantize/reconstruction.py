"""Layers as matrices, and ways to round their weights that look at what they multiply (steps/round.py).

The weights of a layer are (groups, outputs, k): a depthwise layer has a group for each input channel, others
have one. G, the second moments of its inputs, is (groups, k, k).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.graph import Node
from harness.ops.windows import windows
from harness.quantize.weights import CHANNEL_AXIS, LIMIT

Method = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(w / s, nearest integers, G) → integers as floats; all (groups, outputs, k)."""

ITERATIONS = 500
LEARNING_RATE = 2e-2
REGULARIZER = 3.0  # λ of the paper for a channel of one weight, where rounding to nearest has an error of 1
WARM_UP = 0.2  # share of the iterations without the regularizer
BETAS = (20.0, 2.0)  # its exponent, from the first iteration to the last
STRETCH = (-0.1, 1.1)  # of the sigmoid, ζ and γ of the paper
SWEEPS = 3


def axis_of(node: Node) -> int:
    """The dimension of a node's weights that is the output channel."""
    return CHANNEL_AXIS[node.op]


def patches(node: Node, values: np.ndarray, weights: tuple[int, ...], most: int) -> np.ndarray:
    """At most `most` rows of what the layer multiplies, drawn with a fixed seed: (groups, rows, k).

    values: its input (samples, …). weights: their shape.
    """
    if node.op == "FullyConnected":
        rows = values.reshape(-1, weights[1])
        return rows[_drawn(len(rows), most)][None]
    view = windows(node, values, weights[1:3], 0.0)  # (n, h, w, c, ky, kx)
    n, height, width, channels = view.shape[:4]
    flat = _drawn(n * height * width, most)
    chosen = view[np.unravel_index(flat, (n, height, width))]  # (rows, c, ky, kx)
    if node.op == "DepthwiseConv2D":
        return chosen.reshape(len(flat), channels, -1).swapaxes(0, 1)
    return chosen.transpose(0, 2, 3, 1).reshape(len(flat), -1)[None]


def _drawn(count: int, most: int) -> np.ndarray:
    """Sorted indices below `count`: all, or `most` of them."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def as_matrices(node: Node, weights: np.ndarray, groups: int) -> np.ndarray:
    """Weights as (groups, outputs, k)."""
    if node.op == "DepthwiseConv2D":  # (1, h, w, groups · outputs)
        return weights.reshape(-1, groups, weights.shape[3] // groups).transpose(1, 2, 0)
    return weights.reshape(1, weights.shape[0], -1)


def as_weights(node: Node, matrices: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of `as_matrices`."""
    if node.op == "DepthwiseConv2D":
        return matrices.transpose(2, 0, 1).reshape(shape)
    return matrices.reshape(shape)


def reconstructed(
    method: Method, node: Node, weights: np.ndarray, scales: np.ndarray, moments: np.ndarray
) -> np.ndarray:
    """int8 weights of a layer: for each output channel what the method found, or the nearest if better."""
    shape = [-1 if i == axis_of(node) else 1 for i in range(weights.ndim)]
    steps = as_matrices(node, weights.astype(np.float64) / scales.reshape(shape), len(moments))
    nearest = np.clip(np.round(steps), -LIMIT, LIMIT)
    found = np.clip(method(steps, nearest, moments), -LIMIT, LIMIT)
    better = errors(found, steps, moments) < errors(nearest, steps, moments)
    return as_weights(node, np.where(better[..., None], found, nearest), weights.shape).astype(np.int8)


def errors(rounded: np.ndarray, steps: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """The squared error of each output channel, in squared steps: (groups, outputs)."""
    difference = rounded - steps
    return np.einsum("gok,gok->go", difference @ moments, difference)


def descent(steps: np.ndarray, nearest: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Coordinate descent over the columns, all outputs at once."""
    rounded = nearest.copy()
    diagonal = np.einsum("gkk->gk", moments)
    gradient = (rounded - steps) @ moments
    for _ in range(SWEEPS):
        before = rounded.copy()
        for j in range(steps.shape[-1]):
            usable = diagonal[:, j, None] > 0
            best = rounded[..., j] - gradient[..., j] / np.where(usable, diagonal[:, j, None], 1)
            best = np.clip(np.where(usable, np.round(best), rounded[..., j]), -LIMIT, LIMIT)
            gradient += (best - rounded[..., j])[..., None] * moments[:, None, j]
            rounded[..., j] = best
        if np.array_equal(before, rounded):
            break
    return rounded


def adaround(steps: np.ndarray, nearest: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """v is trained by Adam; the reconstruction error is scaled to begin at 1 for each output channel."""
    low, high = STRETCH
    steps, moments = steps.astype(np.float32), moments.astype(np.float32)
    floor = np.floor(steps)
    regularizer = REGULARIZER / steps.shape[-1]
    start = np.clip(steps - floor, 0.01, 0.99)
    v = -np.log((high - low) / (start - low) - 1)  # h(v) = w/s − ⌊w/s⌋
    unit = np.maximum(errors(nearest, steps, moments), 1e-30)[..., None].astype(np.float32)
    mean, square = np.zeros_like(v), np.zeros_like(v)
    for t in range(1, ITERATIONS + 1):
        sigmoid = 1 / (1 + np.exp(-v))
        h = np.clip(sigmoid * (high - low) + low, 0, 1)
        slope = 2 * ((floor + h - steps) @ moments) / unit
        if t > WARM_UP * ITERATIONS:
            beta = BETAS[0] + (BETAS[1] - BETAS[0]) * (t / ITERATIONS - WARM_UP) / (1 - WARM_UP)
            centred = 2 * h - 1
            slope -= regularizer * 2 * beta * np.sign(centred) * np.abs(centred) ** (beta - 1)
        slope *= (high - low) * sigmoid * (1 - sigmoid) * ((h > 0) & (h < 1))
        mean = 0.9 * mean + 0.1 * slope
        square = 0.999 * square + 0.001 * slope**2
        v -= LEARNING_RATE * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
    return floor + (v > -np.log((high - low) / (0.5 - low) - 1))
