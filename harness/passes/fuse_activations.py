"""fuse_activations: the op before a Relu or Relu6 clamps its own output.

    Before                                       After

    x ── Conv2D ── Relu6 ── y                    x ── Conv2D(activation: relu6) ── y

Conditions: the op can clamp and does not do so yet; values are float (quantized ones would change their
scale); the value between has one reader and is not a graph output.
"""

from __future__ import annotations

from harness.graph import Graph
from harness.passes._edit import Editor

ACTIVATIONS = {"Relu": "relu", "Relu6": "relu6"}
CLAMPING = {
    "Conv2D",
    "DepthwiseConv2D",
    "FusedResizeAndPadConv2D",
    "FullyConnected",
    "Add",
    "Sub",
    "Mul",
    "AveragePool2D",
    "MaxPool2D",
}


def run(graph: Graph) -> Graph:
    edit = Editor(graph)
    for node in edit.nodes():
        if node.op not in CLAMPING or node.attrs.get("activation"):
            continue
        follower = edit.only_reader(node)
        if follower is None or follower.op not in ACTIVATIONS:
            continue
        if edit.is_float(*node.outputs, *follower.outputs):
            node.attrs["activation"] = ACTIVATIONS[follower.op]
            edit.absorb(node, follower)
    return edit.finish()
