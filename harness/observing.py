"""The runner's modes `calibrate` and `observe` over all samples of a dataset file (runtime/RUNNER.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

import devices
from devices import RunResult
from harness import runner_output
from harness.deploy import deploy_built
from harness.errors import FormatError
from harness.graph import Graph
from harness.pack import tensor_names, write
from harness.quantize.calibrate import Range
from harness.quantize.draft import Channels
from harness.quantize.observers import Activation
from harness.trial import Progress

CHUNK = 16  # samples a process: often enough to show progress
SECONDS_PER_SAMPLE = 60.0
UNWANTED = (1.0, 0.0)  # low and high of a tensor that is not observed
LEAST, LARGEST, SUM = range(3)  # of a channel, in the order of the runner's file


class Observing:
    """A graph and its samples in the runner on this machine."""

    def __init__(self, graph: Graph, data: Path, samples: int, work: Path, progress: Progress) -> None:
        """work: a folder for files in between."""
        self._graph, self._data, self._samples = graph, data, samples
        self._work, self._progress = work, progress
        self._model = work / "calibration.qbm"
        write(graph, self._model)

    def extremes(self) -> dict[str, Activation]:
        """The lowest and highest value of every float activation in every sample."""
        parts = [
            runner_output.read_ranges(result, nonce, first, count)
            for result, nonce, first, count in self._processes("calibrate")
        ]
        names, indices = tensor_names(self._graph), parts[0][0]
        low, high = (np.concatenate([part[i] for part in parts]) for i in (1, 2))
        return {names[t]: Activation(np.stack([low[:, i], high[:, i]], 1)) for i, t in enumerate(indices)}

    def tensors(self, wanted: Mapping[str, Range], bins: int) -> dict[str, tuple[np.ndarray, Channels]]:
        """Of these tensors, counts (bins,) of the values over a range, and what each channel did."""
        names = tensor_names(self._graph)
        ranges = self._work / "ranges.bin"
        pairs = [(wanted[name].low, wanted[name].high) if name in wanted else UNWANTED for name in names]
        np.array(pairs, "<f4").tofile(ranges)
        order = [name for name in names if name in wanted]
        total = _Totals({name: self._graph.tensors[name].shape for name in order}, bins)
        received = self._work / "observed.bin"
        device = devices.open_device("local")
        for result, nonce, _, _ in self._processes("observe", ranges, str(bins)):
            runner_output.read(result, nonce, "observe")
            device.pull(_output_name(nonce), received)
            device.remove([_output_name(nonce)])
            total.add(received)
        return total.of(self._samples)

    def _processes(
        self, mode: str, ranges: Path | None = None, bins: str = ""
    ) -> Iterator[tuple[RunResult, str, int, int]]:
        """Runs the samples chunk by chunk: (result, nonce, first, count) of each."""
        device = devices.open_device("local")
        files = [self._model, self._data, *([ranges] if ranges else [])]
        there = deploy_built(device, files, lambda text: self._progress(text, 0, 0))
        argv = [there.runner, mode, "--model", there.files[self._model], "--data", there.files[self._data]]
        argv += ["--ranges", there.files[ranges], "--bins", bins] if ranges else []
        for first in range(0, self._samples, CHUNK):
            self._progress("calibrating", first, self._samples)
            count, nonce = min(CHUNK, self._samples - first), runner_output.new_nonce()
            part = ["--first", str(first), "--count", str(count), "--nonce", nonce]
            part += ["--output", _output_name(nonce)] if ranges else []
            yield device.run([*argv, *part], SECONDS_PER_SAMPLE * count), nonce, first, count


def _output_name(nonce: str) -> str:
    return f"{nonce}.observed"


class _Totals:
    """The sums of several output files of `observe`."""

    def __init__(self, shapes: Mapping[str, Sequence[int]], bins: int) -> None:
        """shapes: of the observed tensors, in the order of the file."""
        self._shapes, self._bins = shapes, bins
        depths = {name: shape[-1] if shape else 1 for name, shape in shapes.items()}
        self._kind = np.dtype(
            [
                part
                for i, depth in enumerate(depths.values())
                for part in ((f"bins{i}", "<u8", (bins,)), (f"channels{i}", "<f8", (3, depth)))
            ]
        )
        self._sums: list[np.ndarray] = []

    def add(self, path: Path) -> None:
        """Raises FormatError where the file does not have the size of what was asked for."""
        content = path.read_bytes()
        if len(content) != self._kind.itemsize:
            raise FormatError(f"the runner observed {len(content)} bytes instead of {self._kind.itemsize}")
        self._sums.append(np.frombuffer(content, self._kind)[0])

    def of(self, samples: int) -> dict[str, tuple[np.ndarray, Channels]]:
        found = {}
        for i, (name, shape) in enumerate(self._shapes.items()):
            bins = sum(part[f"bins{i}"] for part in self._sums)
            channels = np.stack([part[f"channels{i}"] for part in self._sums])
            each = samples * int(np.prod(shape[:-1], dtype=np.int64))
            found[name] = (
                bins,
                Channels(
                    channels[:, LEAST].min(0), channels[:, LARGEST].max(0), channels[:, SUM].sum(0) / each
                ),
            )
        return found
