"""rename_attribute: an attribute gets another name and keeps its value.

    Before                                   After

    Squeeze(squeeze_dims: (1, 2))            Squeeze(axes: (1, 2))

Condition: the node has the attribute; with `op_name`, only nodes of that op.
"""

from __future__ import annotations

from harness.graph import Graph
from harness.passes._edit import OpName


def run(graph: Graph, old_attribute_name: str, new_attribute_name: str, op_name: OpName = "") -> Graph:
    """op_name: the only op concerned, "" for all."""
    graph = graph.clone()
    for node in graph.nodes:
        if op_name in ("", "*", node.op) and old_attribute_name in node.attrs:
            node.attrs[new_attribute_name] = node.attrs.pop(old_attribute_name)
    return graph
