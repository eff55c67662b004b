"""remove_attribute: nodes lose an attribute, and with it fall back to the op's default.

    Before                                   After

    Softmax(beta: 2.0)                       Softmax

Condition: the node has the attribute; with `op_name`, only nodes of that op. This changes what a graph
computes unless the attribute says what is the default anyway.
"""

from __future__ import annotations

from harness.graph import Graph
from harness.passes._edit import OpName


def run(graph: Graph, attribute_name: str, op_name: OpName = "") -> Graph:
    """attribute_name: as `harness/ops` calls it. op_name: the only op concerned, "" for all."""
    graph = graph.clone()
    for node in graph.nodes:
        if op_name in ("", "*", node.op):
            node.attrs.pop(attribute_name, None)
    return graph
