"""Hybrid (dynamic-range) quantization: int8 weights, activations quantized while running, float outputs.

before   x f32 ── Conv2D(w f32,  b f32) ── y f32
after    x f32 ── Conv2D(w int8, b f32) ── y f32     the kernel quantizes x by its own minimum and maximum

Convolutions have a scale for each channel; recurrent layers and embeddings one for each tensor, as TFLite's
kernels want it, and all of their weights or none.
"""

from __future__ import annotations

import numpy as np

from harness.graph import OPTIONAL, Graph, Node
from harness.quantize.weights import CHANNEL_AXIS, channel_scales, quantize_tensor, quantize_weights

WEIGHTS = {
    "EmbeddingLookup": (1,),
    "Svdf": (1, 2),
    "Rnn": (1, 2),
    "UnidirectionalSequenceRnn": (1, 2),
    "BidirectionalSequenceRnn": (1, 2, 5, 6, 10, 11),
    "UnidirectionalSequenceLstm": (*range(1, 12), 16),
}
"""Ops whose weights have one scale a tensor → the inputs that are weights."""


def quantize(graph: Graph) -> Graph:
    """The graph with the constant float weights of every op that has a hybrid kernel as int8."""
    graph = graph.clone()
    for node in graph.nodes:
        weights = graph.tensors[node.inputs[1]] if node.op in CHANNEL_AXIS else None
        if weights is not None and weights.is_const and weights.dtype == np.float32:
            scales = channel_scales(weights.data, CHANNEL_AXIS[node.op])
            scales = np.maximum(scales, np.finfo(np.float32).tiny)
            node.inputs[1] = quantize_weights(graph, node, scales)
        _quantize_tensors(graph, node)
    graph.drop_unused_tensors()
    return graph.verify()


def _quantize_tensors(graph: Graph, node: Node) -> None:
    """Gives a recurrent layer int8 weights, if all of them are float constants."""
    places = [i for i in WEIGHTS.get(node.op, ()) if node.inputs[i] != OPTIONAL]
    weights = [graph.const(node.inputs[i]) for i in places]
    if any(values is None or values.dtype != np.float32 for values in weights):
        return
    for i, values in zip(places, weights, strict=True):
        node.inputs[i] = graph.add_const(f"{node.inputs[i]}/int8", *quantize_tensor(values))
