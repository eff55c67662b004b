"""FusedResizeAndPadConv2D in its parts, for formats that have only those."""

from __future__ import annotations

import numpy as np

from harness.graph import Graph, Node, Tensor
from harness.ops.images import NO_PADS, FusedResizeAndPadConv2D


def split(graph: Graph) -> Graph:
    """A clone with ResizeBilinear, MirrorPad and Conv2D in place of each fused convolution; needs shapes."""
    graph = graph.clone()
    for node in list(graph.nodes):
        if node.op != "FusedResizeAndPadConv2D":
            continue
        attrs = FusedResizeAndPadConv2D.defaults | node.attrs
        batch, *size, channels = graph.tensors[node.inputs[0]].shape
        if attrs["size"] is not None:
            size = attrs["size"]
            target = graph.add_const(f"{node.name}/size", np.array(size, np.int32))
            flags = {"align_corners": attrs["align_corners"]}
            _insert(graph, node, "ResizeBilinear", target, (batch, *size, channels), flags)
        if attrs["pads"] != NO_PADS:
            paddings = np.array([(0, 0), *attrs["pads"], (0, 0)], np.int32)
            target = graph.add_const(f"{node.name}/paddings", paddings)
            shape = tuple(d + int(sum(p)) for d, p in zip((batch, *size, channels), paddings, strict=True))
            _insert(graph, node, "MirrorPad", target, shape, {"mode": attrs["mode"]})
        node.op = "Conv2D"
        node.attrs = {"stride": attrs["stride"], "padding": "VALID", "activation": attrs["activation"]}
    return graph


def _insert(graph: Graph, node: Node, op: str, listed: str, shape: tuple[int, ...], attrs: dict) -> None:
    """Puts an op in front of the first input of `node`; `listed` is the op's constant second input."""
    source = graph.tensors[node.inputs[0]]
    output = graph.unique_name(f"{node.name}/{op}")
    graph.tensors[output] = Tensor(output, shape, source.dtype)
    graph.nodes.insert(graph.nodes.index(node), Node(op, output, [source.name, listed], [output], attrs))
    node.inputs[0] = output
