"""sort_by_execution_order: list every node after the nodes it reads.

    Before                          After

    nodes: C, A, B                  nodes: A, B, C
    A ── B ── C                     A ── B ── C

Condition: none; nodes that do not depend on each other keep their order as far as possible.
"""

from __future__ import annotations

from harness.graph import Graph


def run(graph: Graph) -> Graph:
    graph = graph.clone()
    graph.nodes = graph.execution_order()
    return graph
