"""fuse_convolutions: zeros around an image become the convolution's own padding.

    Before                                       After

    x ── Pad ── Conv2D(VALID) ── y               x ── Conv2D(padding: ((1, 1), (1, 1))) ── y
          └── [[0,0], [1,1], [1,1], [0,0]]

Conditions: the padding is a constant, of value 0, along height and width only; the convolution is VALID
or padded explicitly (SAME would depend on the padded size); values are float; the padded value has one
reader, as the convolution's first input only, and is not a graph output.

Other paddings and resizes in front of a convolution stay: no convolution here can do them exactly.

Formula:  padding' = padding + pads, side by side
"""

from __future__ import annotations

import numpy as np

from harness.graph import Graph, Node
from harness.passes._edit import Editor


def run(graph: Graph) -> Graph:
    edit = Editor(graph)
    for conv in edit.nodes():
        if conv.op in ("Conv2D", "DepthwiseConv2D"):
            while _fuse(edit, edit.producer(conv.inputs[0]), conv):
                pass
    return edit.finish()


def _fuse(edit: Editor, pad: Node | None, conv: Node) -> bool:
    """Takes out `pad` in front of `conv` if it may, and says whether it did."""
    if pad is None or pad.op != "Pad" or pad.attrs.get("value", 0.0) != 0.0:
        return False
    if edit.only_reader(pad) is not conv or conv.inputs.count(pad.outputs[0]) != 1:
        return False
    padding = _joined(conv, edit.graph.const(pad.inputs[1]))
    if padding is None or not edit.is_float(pad.inputs[0], *pad.outputs):
        return False
    conv.attrs["padding"] = padding
    edit.redirect([conv], pad.outputs[0], pad.inputs[0])
    edit.remove(pad)
    return True


def _joined(conv: Node, pads: np.ndarray | None):
    """The convolution's padding with `pads` (4, 2) added, or None where they do not fit together."""
    padding = conv.attrs.get("padding", "VALID")
    if pads is None or pads.shape != (4, 2) or pads[[0, 3]].any() or padding == "SAME":
        return None
    own = ((0, 0), (0, 0)) if padding == "VALID" else padding
    return tuple((own[i][0] + int(pads[i + 1, 0]), own[i][1] + int(pads[i + 1, 1])) for i in range(2))
