"""Hybrid (dynamic-range) quantization: int8 weights, activations quantized while running, float outputs.

before   x f32 ── Conv2D(w f32,  b f32) ── y f32
after    x f32 ── Conv2D(w int8, b f32) ── y f32     the kernel quantizes x by its own minimum and maximum
"""

from __future__ import annotations

import numpy as np

from harness.graph import Graph
from harness.quantize.weights import CHANNEL_AXIS, channel_scales, quantize_weights


def quantize(graph: Graph) -> Graph:
    """The graph with the constant float weights of every op that has a hybrid kernel as per-channel int8."""
    graph = graph.clone()
    for node in graph.nodes:
        weights = graph.tensors[node.inputs[1]] if node.op in CHANNEL_AXIS else None
        if weights is not None and weights.is_const and weights.dtype == np.float32:
            scales = channel_scales(weights.data, CHANNEL_AXIS[node.op])
            scales = np.maximum(scales, np.finfo(np.float32).tiny)
            node.inputs[1] = quantize_weights(graph, node, scales)
    graph.drop_unused_tensors()
    return graph.verify()
