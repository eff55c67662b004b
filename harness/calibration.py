"""Ranges of a network's activations, observed by running it in the C runtime on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import devices
from harness import build, runner_output
from harness.deploy import deploy
from harness.graph import Graph
from harness.pack import tensor_names, write
from harness.quantize.calibrate import Range, min_max
from harness.trial import Progress

CHUNK = 16  # samples a process: often enough to show progress
SECONDS_PER_SAMPLE = 60.0


def observe(graph: Graph, data: Path, samples: int, work: Path, progress: Progress) -> dict[str, Range]:
    """The minimum and maximum of every float activation over all samples of a dataset file.

    graph: float, optimized. work: a folder for the model file. Raises TrialError or DeviceError where the run
    fails.
    """
    model = work / "calibration.qbm"
    write(graph, model)
    device = devices.open_device("local")
    runner = build.runner(device.info().arch, lambda text: progress(text, 0, 0))
    deployed = deploy(device, runner, [model, data])
    argv = [deployed.runner, "calibrate", "--model", deployed.files[model], "--data", deployed.files[data]]
    names = tensor_names(graph)
    return min_max(_observe_chunks(device, argv, names, samples, progress))


def _observe_chunks(
    device: devices.Device, argv: list[str], names: list[str], samples: int, progress: Progress
) -> Iterator[dict[str, Range]]:
    """The ranges of each sample, by tensor name."""
    for first in range(0, samples, CHUNK):
        progress("calibrating", first, samples)
        count = min(CHUNK, samples - first)
        nonce = runner_output.new_nonce()
        part = ["--first", str(first), "--count", str(count), "--nonce", nonce]
        result = device.run([*argv, *part], SECONDS_PER_SAMPLE * count)
        indices, low, high = runner_output.read_ranges(result, nonce, first, count)
        for row in range(count):
            yield {names[t]: Range(low[row, i], high[row, i]) for i, t in enumerate(indices)}
