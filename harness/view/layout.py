"""Where each node of a graph is drawn: rows from top to bottom, wrapped into columns where there are many.

A node is one row below the lowest node that it reads (longest path). Nodes that only compute on constants
come right above their first reader instead, beside the network's own flow. Within a row nodes are sorted by
the mean position of what they read (the barycentre rule of Sugiyama, Tagawa & Toda 1981).
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.graph import Graph, Node


@dataclass(frozen=True)
class Place:
    """A node's row, counted from the top, and its position in the row, counted from the left."""

    row: int
    position: int


def places(graph: Graph) -> dict[str, Place]:
    """Node name → place. Raises FormatError on a cycle."""
    order = graph.execution_order()
    flow = _flow(graph, order)
    rows = _rows(graph, order, flow)
    by_row: dict[int, list[Node]] = {}
    for node in order:
        by_row.setdefault(rows[node.name], []).append(node)
    producers = graph.producers()
    found: dict[str, Place] = {}
    for index, row in enumerate(sorted(by_row)):
        members = sorted(by_row[row], key=lambda n: (n.name not in flow, _barycentre(n, producers, found)))
        found |= {node.name: Place(index, position) for position, node in enumerate(members)}
    return found


def _flow(graph: Graph, order: list[Node]) -> set[str]:
    """Names of the nodes that depend on an input of the graph."""
    tensors, nodes = set(graph.inputs), set()
    for node in order:
        if not tensors.isdisjoint(node.inputs):
            tensors.update(node.outputs)
            nodes.add(node.name)
    return nodes


def _rows(graph: Graph, order: list[Node], flow: set[str]) -> dict[str, int]:
    producers, readers = graph.producers(), graph.consumers()
    rows: dict[str, int] = {}
    for node in order:
        before = [producers[name].name for name in node.inputs if name in producers]
        rows[node.name] = max((rows[name] + 1 for name in before if name in flow), default=0)
    for node in reversed(order):
        after = [rows[reader.name] for name in node.outputs for reader in readers[name]]
        if node.name not in flow and after:
            rows[node.name] = min(after) - 1
    return rows


def _barycentre(node: Node, producers: dict[str, Node], found: dict[str, Place]) -> float:
    before = [producers[name].name for name in node.inputs if name in producers]
    known = [found[name].position for name in before if name in found]
    return sum(known) / len(known) if known else 0.0
