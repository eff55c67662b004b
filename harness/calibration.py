"""A calibration set in front of a network that runs in the C runtime on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

import devices
from harness import artifacts, datasets, ptq
from harness.datasets import Dataset
from harness.errors import UsageError
from harness.graph import Graph
from harness.layer_costs import Meter
from harness.observing import Observing
from harness.passes import dequantize_weights, turn_inputs
from harness.predict import predict_all
from harness.quantize.calibrate import Range
from harness.quantize.draft import Channels
from harness.quantize.observers import Activation
from harness.trial import Progress

T = TypeVar("T")
BINS = 2048  # of a histogram, as many as TensorRT takes


class Calibration:
    """What activations do on some samples. All that quantizing learns from data comes from here.

    Every method raises TrialError or DeviceError where the run fails, as it does where a value is not finite.
    """

    def __init__(self, samples: Dataset, work: Path, progress: Progress, meter: Meter | None = None) -> None:
        """work: a folder for files in between. Samples are read when they are first needed.

        meter: of the device whose latency counts, None where it does not.
        """
        self.samples = samples
        self._meter = meter
        self._work = work
        self._progress = progress
        self._inputs: dict[int, np.ndarray] = {}  # by their number
        self._seen: dict[tuple[str, bool], dict[str, Activation]] = {}  # by the graph's hash, with bins

    def ranges(self, graph: Graph) -> dict[str, Range]:
        """The minimum and maximum of every float activation over all samples.

        graph: optimized, its activations float.
        """
        return {name: seen.range for name, seen in self.activations(graph, bins=False).items()}

    def activations(self, graph: Graph, *, bins: bool) -> Mapping[str, Activation]:
        """What every float activation did; with `bins` its histogram too, at the cost of a second run."""
        key = artifacts.fingerprint(graph)
        if (key, bins) not in self._seen:
            run = self._observing(graph)
            extremes = self._seen.get((key, False))
            extremes = run.extremes() if extremes is None else extremes
            self._seen[key, False] = extremes
            if bins:
                self._seen[key, True] = _with_bins(run, extremes)
        return _with_turned(graph, self._seen[key, bins])

    def channels(self, graph: Graph, names: Sequence[str]) -> dict[str, Channels]:
        """What each channel of these float activations did."""
        wanted = dict.fromkeys([*names, *graph.inputs], Range(0.0, 0.0))
        seen = self._observing(graph).tensors(wanted, bins=1)
        return _with_turned(graph, {name: channels for name, (_, channels) in seen.items()})

    def values(self, graph: Graph, names: Sequence[str], count: int) -> dict[str, np.ndarray]:
        """Real values of these tensors on `count` of the samples, spread evenly: (samples, …)."""
        turned = _with_turned(graph, {name: name for name in graph.inputs})
        graph = replace(_as_it_runs(graph), outputs=list(dict.fromkeys(turned.get(n, n) for n in names)))
        tensor = graph.tensors[graph.inputs[0]]
        inputs = self._reals(count)
        stored = inputs if tensor.quant is None else tensor.quant.quantize(inputs, tensor.dtype)
        arrays = predict_all(devices.open_device("local"), graph, stored, self._work, self._progress)
        found = {
            name: array if graph.tensors[name].quant is None else graph.tensors[name].quant.dequantize(array)
            for name, array in zip(graph.outputs, arrays, strict=True)
        }
        return {name: found[turned.get(name, name)] for name in names}

    def labels(self, count: int) -> np.ndarray:
        """The model's class indices of the samples that `values` takes, int64 (samples,)."""
        return self.samples.labels[self._spread(count)]

    def costs(self, graph: Graph) -> dict[str, float]:
        """What each node takes on the device whose latency counts: nanoseconds, or instructions if emulated.

        Raises UsageError where there is no such device, or more than one.
        """
        if self._meter is None:
            raise UsageError("what a layer costs is measured on one device: give one with --device")
        return self._meter.costs(graph, self._work, self._progress)

    def contents(self, steps: str | None) -> object:
        """All that these steps of quantization learn from, as `artifacts.fingerprint` takes it."""
        weighed = self._meter is not None and steps is not None and ptq.weighs_costs(steps)
        return [self.samples.contents, self._meter.identity if weighed else None]

    def _reals(self, count: int) -> np.ndarray:
        """The inputs of `count` samples, read once: steps ask for the same ones again and again."""
        if count not in self._inputs:
            self._inputs = {count: np.concatenate([self.samples.reals(i) for i in self._spread(count)])}
        return self._inputs[count]

    def _spread(self, count: int) -> np.ndarray:
        return np.linspace(0, len(self.samples) - 1, min(count, len(self.samples))).round().astype(int)

    def _observing(self, graph: Graph) -> Observing:
        # Two models may share the folder but not the file.
        data = self._work / f"calibration-{artifacts.fingerprint(self.samples.contents)[:16]}.qbd"
        if not data.exists():
            datasets.write_dataset(
                self.samples,
                data,
                lambda done, total: self._progress("reading calibration samples", done, total),
            )
        return Observing(_as_it_runs(graph), data, len(self.samples), self._work, self._progress)


def _as_it_runs(graph: Graph) -> Graph:
    """With images channels last, as data sets have them, and float weights beside float activations."""
    return dequantize_weights.run(turn_inputs.run(graph))


def _with_turned(graph: Graph, found: Mapping[str, T]) -> dict[str, T]:
    """What was found of the input is so of what turns it too, which is not there while the graph runs."""
    found = dict(found)
    for node in graph.execution_order():
        if node.op == "Transpose" and node.inputs[0] in graph.inputs and node.inputs[0] in found:
            found.setdefault(node.outputs[0], found[node.inputs[0]])
    return found


def _with_bins(run: Observing, extremes: Mapping[str, Activation]) -> dict[str, Activation]:
    found = run.tensors({name: seen.range for name, seen in extremes.items()}, BINS)
    return {name: replace(seen, bins=found[name][0]) for name, seen in extremes.items()}
