"""Runs a network on this machine, on real values: what checks and labels are computed with.

A float network runs in the NumPy references, which define the ops; int8 weights beside float activations are
expanded first. A network with quantized activations runs in the C runtime, whose integers are its definition,
and its values come back as the reals that they stand for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import devices
from harness import passes
from harness.errors import FormatError
from harness.graph import Graph
from harness.ops import infer_shapes, run_reference
from harness.passes import dequantize_weights
from harness.predict import predict_all
from harness.trial import Progress

FLOATS = (np.float32, np.float64)


class HostNetwork:
    """A graph with one input, ready to run. `graph` is the one that runs."""

    def __init__(self, graph: Graph, work: Path, progress: Progress) -> None:
        """work: a folder for files in between. Raises FormatError where the graph cannot run here."""
        if len(graph.inputs) != 1:
            raise FormatError(f"model '{graph.name}' has {len(graph.inputs)} inputs; checks feed one")
        live = passes.function("strip_unused_nodes")(graph)
        self.quantized = any(t.quant is not None for t in live.tensors.values() if not t.is_const)
        self.graph = passes.apply(live) if self.quantized else dequantize_weights.run(infer_shapes(live))
        self._work = work
        self._progress = progress

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.graph.tensors[self.graph.inputs[0]].shape

    def layers(self) -> list[str]:
        """Names of the tensors that depend on the input, in execution order."""
        found = dict.fromkeys(self.graph.inputs)
        for node in self.graph.execution_order():
            if not found.keys().isdisjoint(node.inputs):
                found.update(dict.fromkeys(node.outputs))
        return [name for name in found if name not in self.graph.inputs]

    def run(self, x: np.ndarray, fetch: Sequence[str] | None = None) -> list[np.ndarray]:
        """Real values of the tensors `fetch` (default: the outputs) for x, float32 `input_shape`."""
        names = list(fetch or self.graph.outputs)
        if not self.quantized:
            values = run_reference(self.graph, {self.graph.inputs[0]: x}, names)
            return [values[name] for name in names]
        source = self.graph.tensors[self.graph.inputs[0]]
        stored = x if source.quant is None else source.quant.quantize(x, source.dtype)
        graph = replace(self.graph, outputs=names)
        device = devices.open_device("local")
        arrays = predict_all(device, graph, stored, self._work, self._progress)
        return [self._reals(name, values) for name, values in zip(names, arrays, strict=True)]

    def _reals(self, name: str, values: np.ndarray) -> np.ndarray:
        quant = self.graph.tensors[name].quant
        return values if quant is None else quant.dequantize(values)
