"""Do two networks give the same answers on real samples, and if not, from which layer on?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from harness.errors import FormatError
from harness.graph import OPTIONAL, Graph
from harness.host import HostNetwork, OnnxNetwork

MOST_DECIMALS = 15
Network = HostNetwork | OnnxNetwork
WEIGHTED = ("Conv2D", "DepthwiseConv2D", "FullyConnected", "MatMul")


@dataclass
class Difference:
    """The largest absolute difference of one tensor over all samples; inf where a value is not a number."""

    name_a: str
    name_b: str
    largest: float = 0.0

    def update(self, a: np.ndarray, b: np.ndarray) -> None:
        difference = float(np.max(np.abs(a - b))) if a.size else 0.0
        self.largest = max(self.largest, math.inf if math.isnan(difference) else difference)

    def agrees(self, decimals: int) -> bool:
        """Whether no value differs by more than 10^−decimals."""
        return self.largest <= 10.0**-decimals

    @property
    def decimals(self) -> int:
        """The most decimals to which all values agree; 0 where not even the first does."""
        return next((d for d in range(MOST_DECIMALS, 0, -1) if self.agrees(d)), 0)


@dataclass
class Comparison:
    """What two networks differ by.

    layers: tensors inside, in execution order. after: name_b of a layer → name_b of those that read it, also
    through others. same_top1: samples whose largest value of output 0 has the same index.
    """

    outputs: list[Difference]
    layers: list[Difference] = field(default_factory=list)
    after: dict[str, set[str]] = field(default_factory=dict)
    samples: int = 0
    same_top1: int = 0

    @property
    def worst(self) -> Difference:
        return max(self.outputs, key=lambda difference: difference.largest)

    def first_diverging(self, decimals: int) -> Difference | None:
        """The first layer that does not agree, and of whose successors none does; None where there is none.

        A difference that is gone again further on is none: folding a factor into weights, for one, changes
        what the convolution itself computes.
        """
        pairs = self.layers + self.outputs
        agreeing = {pair.name_b for pair in pairs if pair.agrees(decimals)}
        for pair in pairs:
            if pair.name_b not in agreeing and agreeing.isdisjoint(self.after.get(pair.name_b, ())):
                return pair
        return None


def share_input_shape(a: Graph, b: Graph) -> None:
    """A graph whose file does not state the shape of its input takes the other's."""
    for graph, other in ((a, b), (b, a)):
        for name, same in zip(graph.inputs, other.inputs, strict=False):
            if graph.tensors[name].shape is None:
                graph.tensors[name].shape = other.tensors[same].shape


def compare(a: Network, b: Network, samples: Iterable[np.ndarray], layers: bool) -> Comparison:
    """Runs both on every sample, float32 in the networks' input shape.

    layers: compare what both networks compute inside too. Raises FormatError where inputs or outputs have
    different shapes.
    """
    if a.input_shape != b.input_shape:
        raise FormatError(f"the inputs differ in shape: {a.input_shape} and {b.input_shape}")
    outputs = _paired_outputs(a.graph, b.graph)
    found = Comparison(outputs)
    if layers:
        found.layers = _paired_layers(a, b)
        found.after = _successors(b.graph)
    pairs = found.outputs + found.layers
    for x in samples:
        values_a = a.run(x, [pair.name_a for pair in pairs])
        values_b = b.run(x, [pair.name_b for pair in pairs])
        for pair, value_a, value_b in zip(pairs, values_a, values_b, strict=True):
            pair.update(value_a, value_b)
        found.samples += 1
        found.same_top1 += int(np.argmax(values_a[0]) == np.argmax(values_b[0]))
    return found


def _paired_outputs(a: Graph, b: Graph) -> list[Difference]:
    shapes_a, shapes_b = ([graph.tensors[name].shape for name in graph.outputs] for graph in (a, b))
    if shapes_a != shapes_b:
        raise FormatError(f"the outputs differ in shape: {shapes_a} and {shapes_b}")
    return [Difference(*names) for names in zip(a.outputs, b.outputs, strict=True)]


def _paired_layers(a: Network, b: Network) -> list[Difference]:
    """Tensors of the same name and shape in b's order; without any, the layers with weights in order."""
    shapes_a, shapes_b = a.graph.tensors, b.graph.tensors
    known = set(a.layers()) - {*a.graph.outputs, *b.graph.outputs}
    named = [name for name in b.layers() if name in known and shapes_a[name].shape == shapes_b[name].shape]
    if named:
        return [Difference(name, name) for name in named]
    pairs = zip(_weighted(a.graph), _weighted(b.graph), strict=False)
    return [Difference(x, y) for x, y in pairs if shapes_a[x].shape == shapes_b[y].shape]


def _successors(graph: Graph) -> dict[str, set[str]]:
    """Tensor → the tensors that depend on it."""
    found: dict[str, set[str]] = {name: set() for name in graph.tensors}
    for node in reversed(graph.execution_order()):
        reached = set(node.outputs).union(*(found[name] for name in node.outputs))
        for name in node.inputs:
            if name != OPTIONAL:
                found[name] |= reached
    return found


def _weighted(graph: Graph) -> list[str]:
    return [node.outputs[0] for node in graph.execution_order() if node.op in WEIGHTED]
