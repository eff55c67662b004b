"""raw output tensors for raw input tensors (.npy), on any device"""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser, Namespace
from contextlib import closing
from pathlib import Path

import devices
from harness import predict as prediction
from harness.commands._options import add_device, add_model, add_quiet, add_variant, source_as, write_whole
from harness.progress import ProgressLine


def add(parser: ArgumentParser) -> None:
    add_device(parser)
    add_model(parser)
    add_variant(parser)
    parser.add_argument(
        "--input", required=True, metavar="X.npy", help="samples in the model's dtype, batch first"
    )
    parser.add_argument("--output", required=True, metavar="Y.npy", help="where the outputs go")
    parser.add_argument(
        "--steps",
        action="store_true",
        help="samples are the steps of one stream: a recurrent network's state stays from one to the next",
    )
    add_quiet(parser)


def run(arguments: Namespace) -> int:
    with ProgressLine(arguments.quiet) as progress, tempfile.TemporaryDirectory() as folder:
        graph = source_as(arguments, Path(folder), progress).graph
        inputs = prediction.read_inputs(Path(arguments.input), graph)
        with closing(devices.open_device(arguments.device)) as device:
            outputs = prediction.predict(device, graph, inputs, Path(folder), progress, steps=arguments.steps)
    write_whole(Path(arguments.output), prediction.npy_bytes(outputs))
    return 0
