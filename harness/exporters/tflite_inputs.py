"""The inputs that TFLite's ops insist on, where the IR says the same by an attribute or leaves it out."""

from __future__ import annotations

import numpy as np

from harness.errors import FormatError
from harness.exporters._padding import explicit_padding, padding_name
from harness.graph import OPTIONAL, Graph, Node, Quantization, Tensor
from harness.ops.windows import Pads, node_padding, resolve_padding, window_attrs

WINDOWED = {"Conv2D", "DepthwiseConv2D", "AveragePool2D", "MaxPool2D"}


def with_inputs(graph: Graph) -> Graph:
    """A clone, in execution order, whose nodes have TFLite's inputs; needs inferred shapes.

    Raises FormatError naming a node whose padding TFLite has no form for.
    """
    graph = graph.clone()
    graph.nodes = graph.execution_order()
    _add_pads(graph)
    for node in graph.nodes:
        if node.op in _COMPLETE:
            _COMPLETE[node.op](graph, node)
    graph.drop_unused_tensors()
    return graph


def _add_pads(graph: Graph) -> None:
    """Every convolution padded as neither SAME nor VALID gets a Pad node of its own."""
    for node in list(graph.nodes):
        if not (node.op in WINDOWED and padding_name(graph, node) is None):
            continue
        if node.op in ("AveragePool2D", "MaxPool2D"):
            raise FormatError(f"node '{node.name}' ({node.op}): TFLite has no such padding for a pool")
        _insert_pad(graph, node, explicit_padding(graph, node))


def _insert_pad(graph: Graph, node: Node, pads: Pads) -> None:
    source = graph.tensors[node.inputs[0]]
    n, h, w, c = source.shape
    paddings = graph.add_const(f"{node.name}/paddings", np.array([(0, 0), *pads, (0, 0)], np.int32))
    padded = graph.unique_name(f"{node.name}/padded")
    shape = (n, h + sum(pads[0]), w + sum(pads[1]), c)
    graph.tensors[padded] = Tensor(padded, shape, source.dtype, None, source.quant)
    pad = Node("Pad", graph.unique_name(f"{node.name}/pad"), [source.name, paddings], [padded])
    graph.nodes.insert(graph.nodes.index(node), pad)
    node.inputs[0] = padded
    node.attrs["padding"] = "VALID"


def _reshape(graph: Graph, node: Node) -> None:
    """The target is a second input."""
    shape = np.array(graph.tensors[node.outputs[0]].shape, np.int32)
    node.inputs = [node.inputs[0], graph.add_const(f"{node.name}/shape", shape)]


def _convolution(graph: Graph, node: Node) -> None:
    """Without bias there is one of zeros."""
    if len(node.inputs) == 3 and node.inputs[2] != OPTIONAL:
        return
    x, weights = (graph.tensors[name] for name in node.inputs[:2])
    count, quant = weights.shape[0], None
    if x.quant is not None:
        scale = np.broadcast_to(x.quant.scale * weights.quant.scale, count)
        quant = Quantization(scale, np.zeros(count, np.int32), 0)
    zeros = np.zeros(count, np.int32 if quant else np.float32)
    node.inputs = [*node.inputs[:2], graph.add_const(f"{node.name}/bias", zeros, quant)]


def _slice(graph: Graph, node: Node) -> None:
    """With strides it ends where a Python slice would: one past the last value, whichever way it goes."""
    if len(node.inputs) < 4:
        return
    shape = graph.tensors[node.inputs[0]].shape
    begin, size, strides = (graph.const(name) for name in node.inputs[1:])
    end = begin + size * strides
    end = np.where(end < 0, -np.array(shape) - 1, end).astype(np.int32)
    lists = {"begin": begin.astype(np.int32), "end": end, "strides": strides.astype(np.int32)}
    constants = [graph.add_const(f"{node.name}/{what}", values) for what, values in lists.items()]
    node.op, node.inputs = "StridedSlice", [node.inputs[0], *constants]


def _pad(graph: Graph, node: Node) -> None:
    """A value other than zero is a third input, stored as the output is."""
    value, out = node.attrs.get("value", 0.0), graph.tensors[node.outputs[0]]
    if not value:
        return
    stored = np.asarray(value, out.dtype) if out.quant is None else out.quant.quantize(value, out.dtype)
    node.op = "PadV2"
    node.inputs = [*node.inputs, graph.add_const(f"{node.name}/value", stored, out.quant)]


def _transpose_conv(graph: Graph, node: Node) -> None:
    """The output's shape comes first, and padding has a name."""
    x, weights, *bias = node.inputs
    size, window, stride = node.attrs["size"], graph.tensors[weights].shape[1:3], window_attrs(node)[0]
    pads, _ = node_padding(node, size, window)
    names = [p for p in ("VALID", "SAME") if resolve_padding(p, size, window, stride, (1, 1))[0] == pads]
    if not names:
        raise FormatError(f"node '{node.name}' ({node.op}): TFLite has no such padding for it")
    node.attrs["padding"] = names[0]
    shape = np.array(graph.tensors[node.outputs[0]].shape, np.int32)
    node.inputs = [graph.add_const(f"{node.name}/shape", shape), weights, x, *bias]


_COMPLETE = {
    "Reshape": _reshape,
    "Conv2D": _convolution,
    "TransposeConv2D": _transpose_conv,
    "Slice": _slice,
    "Pad": _pad,
}
