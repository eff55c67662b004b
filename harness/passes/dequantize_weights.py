"""dequantize_weights: int8 weights beside float activations become the float weights they stand for.

    Before                                       After

    x f32 ── Conv2D ── y f32                     x f32 ── Conv2D ── y f32
    w int8 ────┘                                 w f32 ────┘

    x f32 ──────────────── Conv2D ── y f32       x f32 ── Conv2D ── y f32
    w int8 ── Dequantize ────┘                   w f32 ────┘

A dynamic-range .tflite keeps its weights the first way, what `quantize_weights` wrote the second. Their float
network is what the variants start from, and those that want int8 weights quantize again, per channel.

Conditions: input and output of the node are float; the weights (or the bias) are a quantized constant, and
nothing else than such nodes reads the Dequantize.

Formula:  w = (q − zero_point) · scale
"""

from __future__ import annotations

from harness.graph import Graph, Node, Tensor
from harness.passes._edit import Editor

WEIGHTED = {"Conv2D", "DepthwiseConv2D", "FullyConnected"}


def run(graph: Graph) -> Graph:
    edit = Editor(expand(graph))
    for node in edit.nodes():
        if node.op in WEIGHTED and edit.is_float(node.inputs[0], *node.outputs):
            weights = edit.graph.tensors[node.inputs[1]]
            if weights.is_const and weights.quant is not None:
                edit.set_const(node, 1, weights.quant.dequantize(weights.data), weights.name)
    return edit.finish()


def expand(graph: Graph) -> Graph:
    """The second form alone: what a Dequantize writes becomes a constant, and the Dequantize goes."""
    edit = Editor(graph)
    for node in edit.nodes():
        if node.op == "Dequantize" and _holds_weights(edit, node):
            stored, name = edit.graph.tensors[node.inputs[0]], node.outputs[0]
            values = stored.quant.dequantize(stored.data)
            edit.graph.tensors[name] = Tensor(name, values.shape, values.dtype, values)
            edit.remove(node)
    return edit.finish()


def _holds_weights(edit: Editor, node: Node) -> bool:
    stored, name = edit.graph.tensors[node.inputs[0]], node.outputs[0]
    if not stored.is_const or stored.quant is None or name in edit.graph.outputs:
        return False
    return all(reader.op in WEIGHTED and reader.inputs[0] != name for reader in edit.readers(name))
