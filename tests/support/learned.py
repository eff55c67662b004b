"""What calibration samples tell, by the NumPy references, in place of harness/calibration.py in tests."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import devices
from harness.graph import Graph
from harness.ops import run_reference
from harness.predict import predict_all
from harness.quantize.draft import Channels
from harness.quantize.int8 import CONVERSIONS
from harness.quantize.observers import Activation

BINS = 2048


class Learned:
    """samples: float (n, …), the network's input for each; labels: int (n,), zero where not given."""

    def __init__(self, samples: np.ndarray, labels: np.ndarray | None = None) -> None:
        self.samples = samples.astype(np.float32)
        self._labels = np.zeros(len(samples), np.int64) if labels is None else labels

    def activations(self, graph: Graph, *, bins: bool) -> dict[str, Activation]:
        seen = {}
        for name, values in self._all(graph).items():
            rows = values.reshape(len(values), -1).astype(np.float64)
            extremes = np.stack([rows.min(1), rows.max(1)], 1)
            low, high = extremes[:, 0].min(), extremes[:, 1].max()
            counts = np.histogram(rows, BINS, (low, high if high > low else low + 1))[0] if bins else None
            seen[name] = Activation(extremes, counts)
        return seen

    def channels(self, graph: Graph, names) -> dict[str, Channels]:
        found = self.values(graph, list(dict.fromkeys(names)), len(self.samples))
        rows = {name: v.reshape(-1, v.shape[-1]).astype(np.float64) for name, v in found.items()}
        return {name: Channels(v.min(0), v.max(0), v.mean(0)) for name, v in rows.items()}

    def values(self, graph: Graph, names, count: int) -> dict[str, np.ndarray]:
        if any(t.quant is not None for t in graph.tensors.values()):
            return self._run(graph, list(names), self.samples[:count])
        found = self._all(graph)
        return {name: found[name][:count] for name in names}

    def labels(self, count: int) -> np.ndarray:
        return self._labels[:count]

    def costs(self, graph: Graph) -> dict[str, float]:
        """A float element that a node writes counts 4, an int8 or converted one 2."""
        written = {node.name: graph.tensors[node.outputs[0]] for node in graph.nodes}
        converted = {node.name for node in graph.nodes if node.op in CONVERSIONS}
        return {
            name: math.prod(t.shape) * (4 if t.dtype == np.float32 and name not in converted else 2)
            for name, t in written.items()
        }

    def _all(self, graph: Graph) -> dict[str, np.ndarray]:
        names = [*graph.inputs, *(out for node in graph.nodes for out in node.outputs)]
        rows = [run_reference(graph, {graph.inputs[0]: x[None]}, names) for x in self.samples]
        return {name: np.concatenate([row[name] for row in rows]) for name in names}

    def _run(self, graph: Graph, names: list[str], samples: np.ndarray) -> dict[str, np.ndarray]:
        """A quantized graph runs in the C runtime."""
        graph = replace(graph, outputs=names)
        tensor = graph.tensors[graph.inputs[0]]
        stored = samples if tensor.quant is None else tensor.quant.quantize(samples, tensor.dtype)
        with tempfile.TemporaryDirectory() as work:
            device = devices.open_device("local")
            arrays = predict_all(device, graph, stored, Path(work), lambda *shown: None)
        quants = [graph.tensors[name].quant for name in names]
        return {n: a if q is None else q.dequantize(a) for n, a, q in zip(names, arrays, quants, strict=True)}
