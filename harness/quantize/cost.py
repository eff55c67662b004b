"""What a network costs with some of its layers kept in float, from what its parts were measured to cost.

    cost(kept) = Σ float layers + Σ int8 layers + Σ conversions where the two meet

Measured are the float graph, the int8 graph and, for the conversions, the graph of stage 1, which has them
around every op. What a layer costs on a device hardly depends on what stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from harness.quantize import int8
from harness.quantize.draft import Draft
from harness.quantize.stages import AROUND_EACH_OP, INTEGER_EDGES


class Costs:
    """Of one draft. Relative costs are to the network of which nothing more than the draft says is kept."""

    def __init__(self, draft: Draft) -> None:
        """Measures, on the device that the network is for. Raises UsageError, DeviceError or TrialError."""
        graph = draft.graph
        self._draft, self._readers, self._writers = draft, graph.consumers(), graph.producers()
        self._convertible = {
            node.name
            for node in graph.nodes
            if node.name not in draft.choices.kept and int8.convertible(graph, node)
        }
        self._float = draft.learned.costs(draft.as_kept(graph))
        self._int8 = draft.learned.costs(draft.quantized())
        self._conversions = _measured_conversions(draft)
        self._whole = self._sum(frozenset())

    def slower(self, kept: frozenset[str]) -> float:
        """By what part of its cost the network is slower with these nodes kept in float."""
        return self._sum(kept) / self._whole - 1

    def measured(self, kept: frozenset[str]) -> float:
        """The same of the network as it is then, measured as a whole."""
        measured = self._draft.learned.costs
        return sum(measured(self._draft.keeping(kept).quantized()).values()) / sum(self._int8.values()) - 1

    def _sum(self, kept: frozenset[str]) -> float:
        nodes = (
            (self._float if node.name in kept else self._int8)[node.name] for node in self._draft.graph.nodes
        )
        shapes = self._draft.graph.tensors
        between = (
            self._conversions[op, math.prod(shapes[name].shape)] for op, name in self.conversions(kept)
        )
        return sum(nodes) + sum(between)

    def conversions(self, kept: frozenset[str]) -> Iterator[tuple[str, str]]:
        """Quantize and Dequantize, each with the activation that it converts, as `stages.py` places them."""
        graph, stage, inside = self._draft.graph, self._draft.stage, self._convertible - kept
        activations = (name for name, tensor in graph.tensors.items() if not tensor.is_const)
        for name in activations:
            readers = {node.name for node in self._readers[name]}
            here, others = readers & inside, readers - inside
            written = name in self._writers and self._writers[name].name in inside
            output = name in graph.outputs
            if stage == AROUND_EACH_OP:
                quantized, dequantized = True, written
            else:
                edge = stage == INTEGER_EDGES and name in graph.inputs and not others and not output
                quantized = not written and not edge
                dequantized = written and (others or (output and stage < INTEGER_EDGES))
            yield from [("Quantize", name)] * (len(here) if quantized else 0)
            yield from [("Dequantize", name)] * bool(dequantized)


def _measured_conversions(draft: Draft) -> dict[tuple[str, int], float]:
    """By direction and number of elements: the least, as equal ones cost the same."""
    graph = replace(draft, stage=AROUND_EACH_OP).quantized()
    costs, found = draft.learned.costs(graph), {}
    for node in graph.nodes:
        if node.op in int8.CONVERSIONS:
            key = node.op, math.prod(graph.tensors[node.inputs[0]].shape)
            found[key] = min(costs[node.name], found.get(key, math.inf))
    return found
