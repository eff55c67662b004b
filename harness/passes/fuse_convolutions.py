"""fuse_convolutions: padding and resizing of images become part of the convolution that reads them.

    Before                                       After

    x ── Pad ── Conv2D(VALID) ── y               x ── Conv2D(padding: ((1, 1), (1, 1))) ── y
          └── [[0,0], [1,1], [1,1], [0,0]]

    x ── ResizeBilinear ── MirrorPad ── Conv2D(VALID) ── y       x ── FusedResizeAndPadConv2D ── y

Either of ResizeBilinear and MirrorPad may be missing.

Conditions: the padding is a constant, along height and width only; zeros go into a convolution that is VALID
or padded explicitly (SAME would depend on the padded size); mirrored pixels and a resize (to a constant size,
without half-pixel centers) go into a Conv2D that is VALID and not dilated, as TensorFlow's fused op is;
values are float; what is padded or resized has one reader, as the convolution's first input only, and is not
a graph output.

Formula:  padding' = padding + pads, side by side
"""

from __future__ import annotations

import numpy as np

from harness.graph import Graph, Node
from harness.ops.windows import window_attrs
from harness.passes._edit import Editor

FUSED = "FusedResizeAndPadConv2D"


def run(graph: Graph) -> Graph:
    edit = Editor(graph)
    for conv in edit.nodes():
        if conv.op in ("Conv2D", "DepthwiseConv2D", FUSED):
            while _fuse(edit, edit.producer(conv.inputs[0]), conv):
                pass
    return edit.finish()


def _fuse(edit: Editor, before: Node | None, conv: Node) -> bool:
    """Takes out `before` in front of `conv` if it may, and says whether it did."""
    if before is None or before.op not in _CHANGES:
        return False
    if edit.only_reader(before) is not conv or conv.inputs.count(before.outputs[0]) != 1:
        return False
    listed = edit.graph.const(before.inputs[1])
    if listed is None or not edit.is_float(before.inputs[0], *before.outputs, *conv.outputs):
        return False
    change = _CHANGES[before.op](before, listed, conv)
    if change is None:
        return False
    conv.op, conv.attrs = change
    edit.redirect([conv], before.outputs[0], before.inputs[0])
    edit.remove(before)
    return True


def _zeros(pad: Node, listed: np.ndarray, conv: Node) -> tuple[str, dict] | None:
    """The convolution, padded more, as op and attributes; None where they do not fit together."""
    padding = conv.attrs.get("padding", "VALID")
    if conv.op == FUSED or pad.attrs.get("value", 0.0) != 0.0 or padding == "SAME":
        return None
    pads = _sides(listed)
    if pads is None:
        return None
    own = ((0, 0), (0, 0)) if padding == "VALID" else padding
    joined = tuple((own[i][0] + pads[i][0], own[i][1] + pads[i][1]) for i in range(2))
    return conv.op, conv.attrs | {"padding": joined}


def _mirrored(pad: Node, listed: np.ndarray, conv: Node) -> tuple[str, dict] | None:
    pads = _sides(listed)
    if pads is None or not _is_plain(conv):
        return None
    return FUSED, _kept(conv) | {"pads": pads, "mode": pad.attrs.get("mode", "REFLECT")}


def _resized(resize: Node, listed: np.ndarray, conv: Node) -> tuple[str, dict] | None:
    padded = conv.op == FUSED and conv.attrs.get("size") is None
    if resize.attrs.get("half_pixel_centers", False) or not (padded or _is_plain(conv)):
        return None
    attrs = conv.attrs if padded else _kept(conv)
    size = tuple(int(length) for length in listed.reshape(-1))
    return FUSED, attrs | {"size": size, "align_corners": resize.attrs.get("align_corners", False)}


def _sides(paddings: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """((top, bottom), (left, right)) of paddings (4, 2) that leave batch and channels alone."""
    if paddings.shape != (4, 2) or paddings[[0, 3]].any():
        return None
    return tuple((int(before), int(after)) for before, after in paddings[1:3])


def _is_plain(conv: Node) -> bool:
    """Whether TensorFlow's fused op can do this convolution: VALID, not dilated."""
    _, dilation, padding = window_attrs(conv)
    return conv.op == "Conv2D" and tuple(dilation) == (1, 1) and padding == "VALID"


def _kept(conv: Node) -> dict:
    """The convolution's attributes that the fused op has too; VALID and no dilation go without saying."""
    return {name: value for name, value in conv.attrs.items() if name not in ("padding", "dilation")}


_CHANGES = {"Pad": _zeros, "MirrorPad": _mirrored, "ResizeBilinear": _resized}
