"""flatten_atrous_conv: a dilated convolution that was written as a convolution of interleaved images.

    Before                                                          After

    x ── SpaceToBatchND ── Conv2D ── BatchToSpaceND ── y            x ── Conv2D(dilation: d, padding) ── y
          └── d, pads            w ──┘        └── d, crops          w ──┘

Conditions: both blocks are the same constant d, over height and width; Conv2D or DepthwiseConv2D of stride 1
and dilation 1, without an activation; no side of the output is cropped by more than the input is padded by;
values are float; the values between have one reader and are not graph outputs.

Formula:  padding' = pads + d · padding − crops, on each of the four sides
"""

from __future__ import annotations

import numpy as np

from harness.graph import Graph, Node
from harness.ops.windows import Pads, node_padding, window_attrs
from harness.passes._edit import Editor


def run(graph: Graph) -> Graph:
    edit = Editor(graph)
    for first in edit.nodes():
        conv = edit.only_reader(first) if first.op == "SpaceToBatchND" else None
        last = edit.only_reader(conv) if conv is not None else None
        if last is None or not edit.is_float(first.inputs[0], *conv.inputs, *last.outputs):
            continue
        if last.op != "BatchToSpaceND" or conv.inputs.count(first.outputs[0]) != 1:
            continue
        padding = _padding(edit, first, conv, last)
        if padding is not None and conv.inputs[0] == first.outputs[0]:
            block = edit.graph.const(first.inputs[1]).tolist()
            conv.attrs |= {"dilation": tuple(block), "padding": padding}
            edit.skip(conv, first)
            edit.absorb(conv, last)
    return edit.finish()


def _padding(edit: Editor, first: Node, conv: Node, last: Node) -> Pads | None:
    """The padding of the one convolution, or None where the conditions do not hold."""
    graph = edit.graph
    if conv.op not in ("Conv2D", "DepthwiseConv2D") or conv.attrs.get("activation"):
        return None
    stride, dilation, _ = window_attrs(conv)
    shape, weights = (graph.tensors[name].shape for name in conv.inputs[:2])
    if tuple(stride) != (1, 1) or tuple(dilation) != (1, 1) or None in (shape, weights):
        return None
    block, pads, other, crops = (graph.const(n) for n in (*first.inputs[1:3], *last.inputs[1:3]))
    if any(values is None for values in (block, pads, other, crops)) or len(block) != 2:
        return None
    own, _ = node_padding(conv, shape[1:3], weights[1:3])
    padding = pads + np.array(own) * block[:, None] - crops
    if not np.array_equal(block, other) or padding.min() < 0:
        return None
    return tuple(tuple(int(p) for p in pair) for pair in padding)
