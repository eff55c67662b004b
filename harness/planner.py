"""Places every activation in one arena: tensors that live at the same time never overlap.

Lifetimes are known because the execution order is: a tensor lives from the node that writes it to the last
node that reads it. Tensors that may share memory form a block:

    Relu(x) → y            y takes x's place, where x is not needed afterwards and the op works in place
    Concat(a, b) → c       a and b are written where they stand in c, where their bytes lie together there

Offsets of blocks are chosen greedily, largest first, each at the lowest gap that fits (Pisarchyk & Lee,
"Efficient Memory Management for Deep Neural Net Inference", 2020, "greedy by size").
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from harness.formats import align, runtime_ops
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
    """Arena offsets for a graph whose shapes are known, executed in this order.

    A block lives as long as all of its tensors, which can cost more than it saves: the smaller plan wins.
    """
    alive = {tensor.name: tensor for tensor in lifetimes(graph, order)}
    apart = {name: Place(name, 0) for name in alive}
    plans = [_place(alive, sharing) for sharing in (_shared(graph, order, alive), apart)]
    return min(plans, key=lambda plan: plan.arena_size)


@dataclass(frozen=True)
class Place:
    """Where a tensor lies: `offset` bytes into the tensor `block`, which is large enough for it."""

    block: str
    offset: int


def _shared(graph: Graph, order: list[Node], alive: dict[str, Lifetime]) -> dict[str, Place]:
    """The place of every activation, with all sharing that is possible."""
    places = {name: Place(name, 0) for name in alive}
    for step, node in enumerate(order):
        ending = [name for name in node.inputs if name in alive and alive[name].last == step]
        if node.op == "Concatenation":
            _join(graph, node, ending, places)
        elif node.op in runtime_ops() and runtime_ops()[node.op].in_place:
            same_size = [name for name in ending if alive[name].nbytes == alive[node.outputs[0]].nbytes]
            if same_size:
                places[node.outputs[0]] = places[same_size[0]]
    return places


def _join(graph: Graph, node: Node, ending: list[str], places: dict[str, Place]) -> None:
    """Moves the blocks of a concatenation's inputs into its output, at their offsets there."""
    joined = graph.tensors[node.outputs[0]]
    axis = node.attrs["axis"] % len(joined.shape)
    if math.prod(joined.shape[:axis]) != 1:
        return  # the rows of the inputs alternate in the output
    offset = 0
    for name in node.inputs:
        nbytes = graph.tensors[name].nbytes
        movable = name in ending and node.inputs.count(name) == 1 and _fills(graph, places[name], nbytes)
        if movable and offset == align(offset):
            block = places[name].block
            for other, place in places.items():
                if place.block == block:
                    places[other] = Place(joined.name, offset + place.offset)
        offset += nbytes


def _fills(graph: Graph, place: Place, nbytes: int) -> bool:
    """Whether a tensor of this size is all of its block."""
    return place.offset == 0 and graph.tensors[place.block].nbytes == nbytes


def _place(alive: dict[str, Lifetime], places: dict[str, Place]) -> Plan:
    """Greedy by size over the blocks."""
    blocks: dict[str, Lifetime] = {}
    for name, place in places.items():
        tensor, block = alive[name], blocks.get(place.block, alive[place.block])
        first, last = min(block.first, tensor.first), max(block.last, tensor.last)
        blocks[place.block] = Lifetime(place.block, first, last, block.nbytes)
    placed: list[tuple[int, int, Lifetime]] = []  # (start, end, block), sorted by start
    starts = {}
    for block in sorted(blocks.values(), key=lambda b: (-b.nbytes, b.first, b.name)):
        size = align(block.nbytes)
        start = 0
        for other_start, other_end, other in placed:
            if not block.overlaps(other):
                continue
            if other_start - start >= size:
                break
            start = max(start, other_end)
        starts[block.name] = start
        placed.append((start, start + size, block))
        placed.sort(key=lambda item: item[0])
    offsets = {name: starts[place.block] + place.offset for name, place in places.items()}
    return Plan(offsets, max((end for _, end, _ in placed), default=0))


def place_state(tensors: Iterable[Tensor]) -> Plan:
    """Offsets of the variable ones among these tensors, one after the other: they all live for ever."""
    offsets, end = {}, 0
    for tensor in tensors:
        if tensor.is_variable:
            offsets[tensor.name] = end
            end += align(tensor.nbytes)
    return Plan(offsets, end)
