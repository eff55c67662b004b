"""A float graph on its way to int8: what the steps of `harness/quantize/steps` read and change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from harness.graph import Graph, Node
from harness.quantize import float16, int8
from harness.quantize.calibrate import Range
from harness.quantize.int8 import Choices
from harness.quantize.observers import Activation, Observer, min_max
from harness.quantize.stages import INTEGER_EDGES
from harness.quantize.weights import CHANNEL_AXIS

RANKING = ("Softmax", "LogSoftmax", "ArgMax", "TopK")


@dataclass(frozen=True)
class Channels:
    """What each channel (last dimension) of an activation did: float64 (channels,) each."""

    least: np.ndarray
    largest: np.ndarray
    mean: np.ndarray

    @property
    def magnitude(self) -> np.ndarray:
        return np.maximum(np.abs(self.least), np.abs(self.largest))


class Learned(Protocol):
    """What the calibration samples tell (harness/calibration.py). All of it is computed by the C runtime."""

    def activations(self, graph: Graph, *, bins: bool) -> Mapping[str, Activation]:
        """Every float activation of a float graph."""

    def channels(self, graph: Graph, names: Sequence[str]) -> Mapping[str, Channels]:
        """The channels of these float activations."""

    def values(self, graph: Graph, names: Sequence[str], count: int) -> dict[str, np.ndarray]:
        """Real values of these tensors on `count` samples, or all where there are fewer: (samples, …)."""

    def labels(self, count: int) -> np.ndarray:
        """The model's class indices of the samples that `values` takes."""

    def costs(self, graph: Graph) -> dict[str, float]:
        """What each node takes on the device that the network is for, all in the same unit."""


@dataclass(frozen=True)
class Draft:
    """graph: float, optimized; rewriting steps change its constants, not what it computes.

    observer: how ranges are chosen; it looks at bins where needs_bins. choices: what is decided besides.
    half: the weights of what stays float are float16. stage: in which it is quantized (stages.py).
    """

    graph: Graph
    learned: Learned
    observer: Observer = min_max.choose
    needs_bins: bool = False
    choices: Choices = field(default_factory=Choices)
    half: bool = False
    stage: int = INTEGER_EDGES

    def ranges(self) -> dict[str, Range]:
        """The chosen range of every float activation. Raises TrialError or DeviceError where the run fails.

        What the network ranks its answers by is never cut off: its largest values are the ones that count.
        """
        seen = self.learned.activations(self.graph, bins=self.needs_bins)
        answers = {*self.graph.outputs, *(n.inputs[0] for n in self.graph.nodes if n.op in RANKING)}
        return {name: seen[name].range if name in answers else self.observer(seen[name]) for name in seen}

    def keeping(self, nodes: Iterable[str]) -> Draft:
        """The draft in which these nodes stay float too."""
        return replace(self, choices=replace(self.choices, kept=self.choices.kept.union(nodes)))

    def quantized(self) -> Graph:
        """The int8 graph of what is decided so far."""
        return self.as_kept(int8.quantize(self.graph, self.ranges(), self.stage, self.choices))

    def as_kept(self, graph: Graph) -> Graph:
        """A graph with its float weights as layers that stay float have them."""
        return float16.convert(graph) if self.half else graph

    def weighted(self) -> list[Node]:
        """The nodes with constant weights that become int8, in execution order."""
        return [
            node
            for node in self.graph.execution_order()
            if node.op in CHANNEL_AXIS
            and self.graph.const(node.inputs[1]) is not None
            and node.name not in self.choices.kept
            and int8.convertible(self.graph, node)
        ]
