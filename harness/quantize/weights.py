"""Symmetric weight quantization and the list of ops that carry weights."""

from __future__ import annotations

import numpy as np

from harness.graph import Graph, Node, Quantization

CHANNEL_AXIS = {"Conv2D": 0, "DepthwiseConv2D": 3, "FullyConnected": 0, "TransposeConv2D": 0}
"""Ops with weights → the dimension of the weights that is the output channel."""

LIMIT = 127  # -128 is not used, so that negating a weight never overflows
BIAS_LIMIT = 2.0**28  # of the int32 biases: sums of up to 2^30 suit the fast kernels (qb_linear_has_headroom)


def channel_scales(weights: np.ndarray, axis: int | None) -> np.ndarray:
    """max |w| / 127 of every output channel, or of all of them (axis None), float32; 0 where all is zero."""
    others = tuple(i for i in range(weights.ndim) if i != axis)
    return np.atleast_1d(np.abs(weights).max(axis=others) / np.float32(LIMIT)).astype(np.float32)


def quantize_weights(graph: Graph, node: Node, scales: np.ndarray, values: np.ndarray | None = None) -> str:
    """Adds the node's weights as int8 with these scales, one or one a channel; returns the new constant's
    name.

    values: int8 weights in place of the nearest ones.
    """
    name, axis = node.inputs[1], CHANNEL_AXIS[node.op]
    weights = graph.const(name)
    one = len(scales) == 1 and weights.shape[axis] != 1
    quant = Quantization(scales, np.zeros(len(scales), np.int32), None if one else axis)
    if values is None:
        values = np.clip(quant.quantize(weights, np.int8), -LIMIT, LIMIT)
    return graph.add_const(f"{name}/int8", values, quant)


def quantize_tensor(weights: np.ndarray) -> tuple[np.ndarray, Quantization]:
    """int8 values of a whole tensor with one scale: −m..m → −127..127, where m = max |w|; zero → zero."""
    largest = np.abs(weights).max(initial=0)
    scale = np.maximum(np.float32(largest / LIMIT), np.finfo(np.float32).tiny)
    quant = Quantization(scale, np.int32(0))
    return np.clip(quant.quantize(weights, np.int8), -LIMIT, LIMIT).astype(np.int8), quant


def safe_scales(scales: np.ndarray, bias: np.ndarray | None, input_scale: float) -> np.ndarray:
    """Scales enlarged where needed, so that bias / (input_scale · scale) stays under BIAS_LIMIT.

    Touches only channels whose weights are all but zero: dead channels that batch-norm folding leaves behind.
    """
    floor = np.full_like(scales, np.finfo(np.float32).tiny)
    if bias is not None:
        needed = np.abs(bias) / np.float32(input_scale * BIAS_LIMIT)
        floor = np.maximum(floor, needed if len(scales) == len(bias) else needed.max())
    return np.maximum(scales, floor).astype(np.float32)
