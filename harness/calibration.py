"""A calibration set in front of a float network that runs in the C runtime on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import devices
from harness import build, datasets, runner_output
from harness.datasets import Dataset
from harness.deploy import deploy
from harness.graph import Graph
from harness.pack import tensor_names, write
from harness.passes import dequantize_weights, turn_inputs
from harness.quantize.calibrate import Range, min_max
from harness.trial import Progress

CHUNK = 16  # samples a process: often enough to show progress
SECONDS_PER_SAMPLE = 60.0


class Calibration:
    """What activations do on some samples. All that quantizing learns from data comes from here."""

    def __init__(self, samples: Dataset, work: Path, progress: Progress) -> None:
        """work: a folder for files in between. Samples are read when they are first needed."""
        self.samples = samples
        self._work = work
        self._progress = progress
        self._ranges: dict[str, dict[str, Range]] = {}  # by the model file's hash

    def ranges(self, graph: Graph) -> dict[str, Range]:
        """The minimum and maximum of every float activation over all samples.

        graph: optimized, its activations float. Raises TrialError or DeviceError where the run fails.
        """
        model = self._work / "calibration.qbm"
        runs = dequantize_weights.run(turn_inputs.run(graph))  # images are channels last
        write(runs, model)
        with model.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest not in self._ranges:
            self._ranges[digest] = self._observe(runs, model)
        ranges = dict(self._ranges[digest])
        for node in graph.execution_order():  # what turns the input has its range
            if node.op == "Transpose" and node.inputs[0] in ranges:
                ranges.setdefault(node.outputs[0], ranges[node.inputs[0]])
        return ranges

    def _observe(self, graph: Graph, model: Path) -> dict[str, Range]:
        device = devices.open_device("local")
        runner = build.runner(device.info().arch, lambda text: self._progress(text, 0, 0))
        deployed = deploy(device, runner, [model, self._data()])
        argv = [deployed.runner, "calibrate", "--model", deployed.files[model]]
        argv += ["--data", deployed.files[self._data()]]
        return min_max(self._chunks(device, argv, tensor_names(graph)))

    def _data(self) -> Path:
        """The samples as a dataset file, written once; two models may share the folder but not the file."""
        contents = (self.samples.samples, self.samples.preprocess, self.samples.input_shape)
        path = self._work / f"calibration-{hashlib.sha256(repr(contents).encode()).hexdigest()[:16]}.qbd"
        if not path.exists():
            datasets.write_dataset(
                self.samples,
                path,
                lambda done, total: self._progress("reading calibration samples", done, total),
            )
        return path

    def _chunks(self, device: devices.Device, argv: list[str], names: list[str]) -> Iterator[dict]:
        """The ranges of each sample, by tensor name."""
        for first in range(0, len(self.samples), CHUNK):
            self._progress("calibrating", first, len(self.samples))
            count = min(CHUNK, len(self.samples) - first)
            nonce = runner_output.new_nonce()
            part = ["--first", str(first), "--count", str(count), "--nonce", nonce]
            result = device.run([*argv, *part], SECONDS_PER_SAMPLE * count)
            indices, low, high = runner_output.read_ranges(result, nonce, first, count)
            for row in range(count):
                yield {names[t]: Range(low[row, i], high[row, i]) for i, t in enumerate(indices)}
