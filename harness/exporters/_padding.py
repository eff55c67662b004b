"""The padding of windowed ops in the words of other formats."""

from __future__ import annotations

from harness.graph import Graph, Node
from harness.ops.windows import Pads, node_padding, resolve_padding, window_attrs


def explicit_padding(graph: Graph, node: Node) -> Pads:
    """((top, bottom), (left, right)) of a convolution or pool with inferred shapes."""
    return node_padding(node, graph.tensors[node.inputs[0]].shape[1:3], _window(graph, node))[0]


def padding_name(graph: Graph, node: Node) -> str | None:
    """ "SAME" or "VALID" where one of them pads as the node does, else None."""
    pads = explicit_padding(graph, node)
    if pads == ((0, 0), (0, 0)):
        return "VALID"
    size, window = graph.tensors[node.inputs[0]].shape[1:3], _window(graph, node)
    stride, dilation, _ = window_attrs(node)
    return "SAME" if resolve_padding("SAME", size, window, stride, dilation)[0] == pads else None


def _window(graph: Graph, node: Node) -> tuple[int, int]:
    return node.attrs.get("filter") or graph.tensors[node.inputs[1]].shape[1:3]
