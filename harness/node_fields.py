"""The op-specific fields of a node record (runtime/include/format.def), from an IR node.

An op whose kernel needs more than its tensors has one function here, registered by IR name. What the
numbers in `parameters` and `options` mean stands on the op's line in runtime/include/ops.def.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.graph import Graph, Node
from harness.ops.recurrent import CELL_FUNCTIONS
from harness.ops.slices import Gather, OneHot
from harness.ops.windows import node_padding, window_attrs

Fields = dict[str, object]  # field of node_record → value; an array field may be given short

_FIELDS: dict[str, Callable[[Graph, Node], Fields]] = {}


def node_fields(graph: Graph, node: Node) -> Fields:
    """The fields that this node sets; needs inferred shapes."""
    fields = _FIELDS.get(node.op)
    return {} if fields is None else fields(graph, node)


def fields(*ops: str):
    """Registers a function (graph, node) → Fields for these IR ops."""

    def register(function):
        _FIELDS.update(dict.fromkeys(ops, function))
        return function

    return register


@fields("Conv2D", "DepthwiseConv2D", "AveragePool2D", "MaxPool2D")
def _window(graph: Graph, node: Node) -> Fields:
    size = graph.tensors[node.inputs[0]].shape[1:3]
    window = node.attrs["filter"] if "filter" in node.attrs else graph.tensors[node.inputs[1]].shape[1:3]
    (stride_h, stride_w), (dilation_h, dilation_w), _ = window_attrs(node)
    ((top, bottom), (left, right)), _ = node_padding(node, size, window)
    return {
        "stride_h": stride_h,
        "stride_w": stride_w,
        "dilation_h": dilation_h,
        "dilation_w": dilation_w,
        "pad_top": top,
        "pad_bottom": bottom,
        "pad_left": left,
        "pad_right": right,
        "filter_h": window[0],
        "filter_w": window[1],
        "options": [int(node.attrs.get(name, False)) for name in ("unsigned", "rounds_once")],
    }


@fields("TransposeConv2D")
def _transpose_conv(graph: Graph, node: Node) -> Fields:
    window = graph.tensors[node.inputs[1]].shape[1:3]
    (stride_h, stride_w), _, _ = window_attrs(node)
    ((top, bottom), (left, right)), _ = node_padding(node, node.attrs["size"], window)
    pads = {"pad_top": top, "pad_bottom": bottom, "pad_left": left, "pad_right": right}
    return pads | {"stride_h": stride_h, "stride_w": stride_w}


@fields("Pad")
def _pad(graph: Graph, node: Node) -> Fields:
    out, value = graph.tensors[node.outputs[0]], node.attrs.get("value", 0.0)
    stored = np.asarray(value, out.dtype) if out.quant is None else out.quant.quantize(value, out.dtype)
    return {"options": np.frombuffer(stored.tobytes().ljust(8, b"\0"), "<i4")}


@fields("MirrorPad")
def _mirror_pad(_graph: Graph, node: Node) -> Fields:
    return {"options": [int(node.attrs.get("mode") == "SYMMETRIC")]}


@fields("DepthToSpace", "SpaceToDepth")
def _block(_graph: Graph, node: Node) -> Fields:
    return {"options": [node.attrs["block"]]}


@fields("Gather")
def _gather(graph: Graph, node: Node) -> Fields:
    axis, batch_dims = Gather.axes(node, *(tuple(graph.tensors[name].shape) for name in node.inputs))
    return {"axis": axis, "options": [batch_dims]}


@fields("ResizeBilinear", "ResizeNearestNeighbor")
def _resize(_graph: Graph, node: Node) -> Fields:
    flags = ("align_corners", "half_pixel_centers", "unsigned")
    return {"options": [int(node.attrs.get(flag, False)) for flag in flags]}


@fields("BatchMatMul")
def _batch_matmul(_graph: Graph, node: Node) -> Fields:
    return {"options": [int(node.attrs.get(flag, False)) for flag in ("adj_x", "adj_y")]}


@fields("OneHot")
def _one_hot(graph: Graph, node: Node) -> Fields:
    return {"axis": OneHot.axis(node, len(graph.tensors[node.inputs[0]].shape))}


@fields("Concatenation")
def _concatenation(graph: Graph, node: Node) -> Fields:
    axis = node.attrs["axis"] % len(graph.tensors[node.outputs[0]].shape)
    return {"axis": axis, "options": [int(node.attrs.get("unsigned", False))]}


@fields("Softmax")
def _softmax(_graph: Graph, node: Node) -> Fields:
    return {"parameters": [node.attrs.get("beta", 1.0)]}


@fields("LeakyRelu")
def _leaky_relu(_graph: Graph, node: Node) -> Fields:
    return {"parameters": [node.attrs.get("alpha", 0.01)]}


@fields("Gelu")
def _gelu(_graph: Graph, node: Node) -> Fields:
    return {"options": [int(node.attrs.get("approximate", False))]}


@fields("CumSum")
def _cumulative_sum(_graph: Graph, node: Node) -> Fields:
    return {"options": [int(node.attrs.get(flag, False)) for flag in ("exclusive", "reverse")]}


@fields("Svdf")
def _svdf(_graph: Graph, node: Node) -> Fields:
    return {"options": [node.attrs["rank"], *_cell(node)]}


@fields("Rnn", "UnidirectionalSequenceRnn", "BidirectionalSequenceRnn")
def _rnn(_graph: Graph, node: Node) -> Fields:
    flags = [int(node.attrs.get(flag, False)) for flag in ("time_major", "merge")]
    return {"options": [*_cell(node), *flags]}


@fields("UnidirectionalSequenceLstm")
def _lstm(_graph: Graph, node: Node) -> Fields:
    clips = [node.attrs.get(name, 0.0) for name in ("cell_clip", "projection_clip")]
    return {"parameters": clips, "options": [*_cell(node), int(node.attrs.get("time_major", False))]}


def _cell(node: Node) -> list[int]:
    """The function of a recurrent op's cells, by its number, and whether hybrid inputs are asymmetric."""
    number = CELL_FUNCTIONS.index(node.attrs.get("function"))
    return [number, int(node.attrs.get("asymmetric", False))]
