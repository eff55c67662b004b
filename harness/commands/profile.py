"""time, instructions and limits of every layer on a device"""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser, Namespace
from contextlib import closing
from pathlib import Path

import devices
from devices import Device
from harness import build
from harness.commands._options import add_device, add_model, add_quiet, add_variant, positive, source_as
from harness.deploy import deploy
from harness.errors import DeviceError
from harness.pack import write
from harness.progress import ProgressLine
from harness.report import layers
from harness.results import Variant
from harness.roofline import measure_peaks
from harness.trial import instructions_by_node, profile_trial


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
    info = device.info()
    runner = build.runner(info.arch, progress)
    there = deploy(device, runner, [model])
    variant = Variant("profile", "", there.files[model], "", model.stat().st_size)
    progress("profiling")
    nodes = profile_trial(device, there.runner, variant, 1 if info.emulated else runs)
    instructions = instructions_by_node(device, there.runner, variant, len(nodes))
    if info.emulated and instructions is None:
        raise DeviceError(
            f"device '{info.name}': this QEMU cannot count instructions, and its times mean nothing: "
            "install a QEMU of version 7 or newer with plugins"
        )
    progress("measuring the device's peaks")
    peaks = measure_peaks(device, runner, nodes, model.stat().st_size, model.parent)
    return layers.counted(nodes, instructions, peaks) if instructions else layers.timed(nodes, peaks)
