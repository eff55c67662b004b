"""Places every activation in one arena: tensors that live at the same time never overlap.

Lifetimes are known because the execution order is: a tensor lives from the node that writes it to the last
node that reads it. Offsets are chosen greedily, largest tensor first, each at the lowest gap that fits
(Pisarchyk & Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, "greedy by size").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.formats import align
from harness.graph import Graph, Node, Tensor


@dataclass(frozen=True)
class Lifetime:
    """A tensor's first and last step (inclusive) and its bytes."""

    name: str
    first: int
    last: int
    nbytes: int

    def overlaps(self, other: Lifetime) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Plan:
    """Offsets in an area of memory by tensor name, each aligned, and the area's size in bytes."""

    offsets: dict[str, int]
    arena_size: int


def lifetimes(graph: Graph, order: list[Node]) -> list[Lifetime]:
    """Lifetimes of all activations. Inputs live from the start, outputs to the end."""
    first = dict.fromkeys(graph.inputs, 0)
    last = dict.fromkeys(graph.inputs, 0)
    for step, node in enumerate(order):
        for name in node.outputs:
            first[name] = last[name] = step
        for name in node.inputs:
            if name in first:
                last[name] = step
    last.update({name: len(order) for name in graph.outputs if name in last})
    return [Lifetime(name, first[name], last[name], graph.tensors[name].nbytes) for name in first]


def plan(graph: Graph, order: list[Node]) -> Plan:
    """Arena offsets for a graph whose shapes are known, executed in this order."""
    placed: list[tuple[int, int, Lifetime]] = []  # (start, end, tensor), sorted by start
    offsets = {}
    for tensor in sorted(lifetimes(graph, order), key=lambda t: (-t.nbytes, t.first, t.name)):
        size = align(tensor.nbytes)
        start = 0
        for other_start, other_end, other in placed:
            if not tensor.overlaps(other):
                continue
            if other_start - start >= size:
                break
            start = max(start, other_end)
        offsets[tensor.name] = start
        placed.append((start, start + size, tensor))
        placed.sort(key=lambda item: item[0])
    return Plan(offsets, max((end for _, end, _ in placed), default=0))


def place_state(tensors: Iterable[Tensor]) -> Plan:
    """Offsets of the variable ones among these tensors, one after the other: they all live for ever."""
    offsets, end = {}, 0
    for tensor in tensors:
        if tensor.is_variable:
            offsets[tensor.name] = end
            end += align(tensor.nbytes)
    return Plan(offsets, end)
