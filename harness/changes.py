"""What a pass changed: how large the graph is before and after, and which nodes are different."""

from __future__ import annotations

from dataclasses import dataclass

from harness.graph import OPTIONAL, Graph, Node
from harness.ops import OPS, node_macs
from harness.passes.strip_unused_nodes import live_nodes


@dataclass(frozen=True)
class Size:
    """macs: multiply-accumulates of one inference; constant_bytes: of the values of all constants."""

    nodes: int
    macs: int
    constant_bytes: int


@dataclass(frozen=True)
class Change:
    """kind: "removed", "added" or "changed"; what: the attributes and inputs that are different."""

    kind: str
    op: str
    name: str
    what: str = ""


def size(graph: Graph) -> Size:
    """The size of a graph; ops and shapes that are not known count no multiply-accumulates."""
    macs = sum(node_macs(graph, node) for node in live_nodes(graph) if _countable(graph, node))
    constants = sum(tensor.data.nbytes for tensor in graph.tensors.values() if tensor.is_const)
    return Size(len(graph.nodes), macs, constants)


def _countable(graph: Graph, node: Node) -> bool:
    names = [name for name in (*node.inputs, *node.outputs) if name != OPTIONAL]
    return node.op in OPS and all(graph.tensors[name].shape is not None for name in names)


def changes(before: Graph, after: Graph) -> list[Change]:
    """The nodes that are not the same in both graphs, in their order; nodes go by their names."""
    old, new = ({node.name: node for node in graph.nodes} for graph in (before, after))
    found = [Change("removed", node.op, name) for name, node in old.items() if name not in new]
    for name, node in new.items():
        if name not in old:
            found.append(Change("added", node.op, name, _listed(node.attrs)))
            continue
        what = _differences(before, old[name], after, node)
        if what:
            found.append(Change("changed", node.op, name, "; ".join(what)))
    return found


def _listed(attrs: dict) -> str:
    return ", ".join(f"{key}={value}" for key, value in attrs.items() if value is not None)


def _differences(before: Graph, old: Node, after: Graph, new: Node) -> list[str]:
    what = [] if old.op == new.op else [f"was {old.op}"]
    for key in dict.fromkeys([*old.attrs, *new.attrs]):
        values = old.attrs.get(key), new.attrs.get(key)
        if values[0] != values[1]:
            what.append(f"{key} {values[0]} → {values[1]}")
    if old.inputs != new.inputs:
        what.append(f"reads {', '.join(new.inputs)}")
    renewed = [n for n in new.inputs if n in old.inputs and before.const(n) is not after.const(n)]
    if renewed:
        what.append(f"new values in {', '.join(renewed)}")
    if old.outputs != new.outputs:
        what.append(f"writes {', '.join(new.outputs)}")
    return what
