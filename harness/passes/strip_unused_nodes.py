"""strip_unused_nodes: keep only what the outputs depend on.

    Before                          After

    input ── A ── B ── output       input ── A ── B ── output
              └── C ── D
    keep_prob ─────┘

Condition: no path leads from the node to a graph output. Inputs and constants that nobody reads go too.
"""

from __future__ import annotations

from harness.graph import Graph, Node


def run(graph: Graph) -> Graph:
    graph = graph.clone()
    graph.nodes = live_nodes(graph)
    read = {name for node in graph.nodes for name in node.inputs} | set(graph.outputs)
    graph.inputs = [name for name in graph.inputs if name in read]
    graph.drop_unused_tensors()
    return graph


def live_nodes(graph: Graph) -> list[Node]:
    """The nodes that some graph output depends on, in the graph's own order."""
    producers = graph.producers()
    live: set[str] = set()
    stack = list(graph.outputs)
    while stack:
        node = producers.get(stack.pop())
        if node is not None and node.name not in live:
            live.add(node.name)
            stack += node.inputs
    return [node for node in graph.nodes if node.name in live]
