"""time, instructions and limits of every layer on a device"""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser, Namespace
from contextlib import closing
from pathlib import Path

import devices
from devices import Device
from harness import layer_costs
from harness.commands._options import add_device, add_model, add_quiet, add_variant, positive, source_as
from harness.pack import write
from harness.progress import ProgressLine
from harness.report import layers
from harness.roofline import measure_peaks


def add(parser: ArgumentParser) -> None:
    add_device(parser)
    add_model(parser)
    add_variant(parser)
    parser.add_argument("--runs", type=positive, default=10, help="inferences to time (default: %(default)s)")
    add_quiet(parser)


def run(arguments: Namespace) -> int:
    with ProgressLine(arguments.quiet) as progress, tempfile.TemporaryDirectory() as folder:
        source = source_as(arguments, Path(folder), progress)
        model = Path(folder) / "profile.qbm"
        write(source.graph, model)
        with closing(devices.open_device(arguments.device)) as device:
            table = _profile(device, model, arguments.runs, progress)
    print(table)
    return 0


def _profile(device: Device, model: Path, runs: int, progress: ProgressLine) -> str:
    """The table of one packed model: of instructions where the device is emulated, else of times."""
    progress("profiling")
    nodes, instructions = layer_costs.profile(device, model, runs, progress)
    progress("measuring the device's peaks")
    peaks = measure_peaks(device, nodes, model.stat().st_size, model.parent)
    return layers.counted(nodes, instructions, peaks) if instructions else layers.timed(nodes, peaks)
