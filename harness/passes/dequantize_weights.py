"""dequantize_weights: int8 weights beside float activations become the float weights they stand for.

    Before                                       After

    x f32 ── Conv2D ── y f32                     x f32 ── Conv2D ── y f32
    w int8 ────┘                                 w f32 ────┘

A dynamic-range .tflite keeps its weights so. Its float network is what the variants start from, and the
hybrid variant quantizes it again, per channel.

Conditions: input and output of the node are float; the weights are a quantized constant.

Formula:  w = (q − zero_point) · scale
"""

from __future__ import annotations

from harness.graph import Graph
from harness.passes._edit import Editor

WEIGHTED = {"Conv2D", "DepthwiseConv2D", "FullyConnected"}


def run(graph: Graph) -> Graph:
    edit = Editor(graph)
    for node in edit.nodes():
        if node.op not in WEIGHTED or not edit.is_float(node.inputs[0], *node.outputs):
            continue
        weights = edit.graph.tensors[node.inputs[1]]
        if weights.is_const and weights.quant is not None:
            edit.set_const(node, 1, weights.quant.dequantize(weights.data), weights.name)
    return edit.finish()
