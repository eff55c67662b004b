"""time of every layer on a device"""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser, Namespace
from contextlib import closing
from pathlib import Path

from tabulate import tabulate

import devices
from harness import build
from harness.commands._options import (
    WIDEST_NAME,
    add_device,
    add_model,
    add_quiet,
    add_variant,
    positive,
    source_as,
)
from harness.deploy import deploy
from harness.pack import write
from harness.progress import ProgressLine
from harness.results import Variant
from harness.runner_events import NodeTime
from harness.text import clean
from harness.trial import profile_trial


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
            info = device.info()
            there = deploy(device, build.runner(info.arch, progress), [model])
            progress("profiling")
            variant = Variant(arguments.variant or "", "", there.files[model], "", model.stat().st_size)
            nodes = profile_trial(device, there.runner, variant, arguments.runs)
    print(_table(nodes))
    if info.emulated:
        print("\nemulated: the times are the emulator's, not a board's")
    return 0


def _table(nodes: list[NodeTime]) -> str:
    medians = [node.median_ns for node in nodes]
    total = sum(medians) or 1.0
    rows = [
        [
            clean(node.name, WIDEST_NAME),
            node.op,
            node.arithmetic,
            clean(node.kernel, WIDEST_NAME),
            node.macs / 1e6,
            ns / 1e3,
            100 * ns / total,
            node.macs / ns if ns else 0.0,
        ]
        for node, ns in zip(nodes, medians, strict=True)
    ]
    rows.append(["total", "", "", "", sum(node.macs for node in nodes) / 1e6, total / 1e3, 100.0, None])
    headers = ["layer", "op", "arithmetic", "kernel", "MMAC", "µs", "share %", "MAC/ns"]
    return tabulate(rows, headers, floatfmt=("", "", "", "", ".3f", ".1f", ".1f", ".2f"), missingval="")
