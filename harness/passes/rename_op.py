"""rename_op: nodes of one op become nodes of another, with the same inputs and attributes.

    Before                                   After

    x ── MyRelu ── y                         x ── Relu ── y

Condition: the node has the old op. That the new one computes the same is the caller's knowledge.
"""

from __future__ import annotations

from harness.graph import Graph
from harness.passes._edit import OpName


def run(graph: Graph, old_op_name: OpName, new_op_name: OpName) -> Graph:
    graph = graph.clone()
    for node in graph.nodes:
        if node.op == old_op_name:
            node.op = new_op_name
    return graph
