"""a smaller, faster graph that computes the same; optionally by transforms of your choice"""

from __future__ import annotations

import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path

from tabulate import tabulate

import models
from harness import exporters, importers, passes, transforms
from harness.changes import Change, Size, changes, size
from harness.commands._options import add_quiet, add_weights, names
from harness.errors import UsageError
from harness.graph import Graph
from harness.prepare import open_calibration
from harness.progress import ProgressLine
from harness.quantize.calibrate import Range
from harness.sources import PREPROCESS_HELP, Source, parse_preprocess, recipe_graph
from harness.text import clean
from harness.transforms import Transform

LOWERED = (".qbm", ".tflite")  # formats without ops that TensorFlow and ONNX have
WIDEST = 200  # of what is different in a node


def add(parser: ArgumentParser) -> None:
    parser.add_argument("input", metavar="IN", help="the model: a recipe's name or any file that bench reads")
    parser.add_argument("output", metavar="OUT", help="where it goes: .pb, .tflite, .onnx or .qbm")
    add_weights(parser)
    parser.add_argument("--inputs", type=names, default=(), metavar="N,…", help="where the network begins")
    parser.add_argument("--outputs", type=names, default=(), metavar="N,…", help="where it ends")
    parser.add_argument(
        "--transforms",
        metavar="TEXT",
        help="'name(parameter=value, …) name …', each once, in this order (default: all that is safe)",
    )
    parser.add_argument(
        "--checkpoint", metavar="PREFIX", help="where a .pb file's variables have their values"
    )
    parser.add_argument(
        "--dataset",
        metavar="NAME|DIR",
        help="samples on which quantize_nodes observes the activations' ranges",
    )
    parser.add_argument("--preprocess", metavar="TEXT", help=f"how they become inputs: {PREPROCESS_HELP}")
    add_quiet(parser)
    parser.add_argument("--explain", action="store_true", help="list the nodes that each transform changed")


def run(arguments: Namespace) -> int:
    exporters.check_suffix(arguments.output)
    chosen = transforms.parse(arguments.transforms) if arguments.transforms is not None else None
    for transform in chosen or ():
        transforms.bind(transform)
    graph = passes.checked(_read(arguments))
    log = _Log(graph)
    if chosen is None:
        graph = passes.apply(graph, observe=log.observe)
    else:
        graph = _transformed(graph, chosen, arguments, log)
    written = exporters.save(graph, arguments.output)
    print(log.table())
    if arguments.explain:
        print("\n" + log.explanation())
    print(f"\nwrote {arguments.output}: {written / 1e6:.2f} MB")
    return 0


def _read(arguments: Namespace) -> Graph:
    """The graph as it comes, from a recipe or a file."""
    ends = arguments.inputs, arguments.outputs
    if arguments.input not in models.names():
        if arguments.weights is not None:
            raise UsageError(f"--weights goes with a recipe's name, and '{arguments.input}' is a file")
        return importers.load(arguments.input, *ends, arguments.checkpoint)
    if any(ends) or arguments.checkpoint:
        raise UsageError("--inputs, --outputs and --checkpoint go with a file; a recipe knows its own")
    with ProgressLine(arguments.quiet) as progress:
        return recipe_graph(models.load(arguments.input), arguments.weights, progress)


def _transformed(graph: Graph, chosen: list[Transform], arguments: Namespace, log: _Log) -> Graph:
    """The graph after the chosen transforms, in ops that the output's format has."""
    preprocess = parse_preprocess(arguments.preprocess)
    with ProgressLine(arguments.quiet) as progress, tempfile.TemporaryDirectory() as work:

        def observe(current: Graph) -> Mapping[str, Range]:
            source = Source(current.name, passes.checked(current, partial=False), preprocess)
            return open_calibration(source, arguments.dataset, Path(work), progress).ranges(current)

        calibrate = observe if arguments.dataset else None
        graph = transforms.apply(graph, chosen, log.observe, _warn, calibrate)
    lowering = passes.LOWERING if Path(arguments.output).suffix.lower() in LOWERED else []
    return passes.apply(graph, lowering, log.observe)


def _warn(text: str) -> None:
    print(clean(text, 2000), file=sys.stderr)


class _Log:
    """What every transform did, for the table and the explanation."""

    def __init__(self, graph: Graph) -> None:
        self.lines = [["(the file)", *_columns(size(graph))]]
        self.details: list[tuple[str, list[Change]]] = []

    def observe(self, name: str, before: Graph, after: Graph) -> None:
        found = changes(before, after)
        columns = _columns(size(after))
        if found or columns != self.lines[-1][1:]:
            self.lines.append([name, *columns])
            self.details.append((name, found))

    def table(self) -> str:
        """The size of the graph after each transform that changed something."""
        return tabulate(
            self.lines, ["after", "nodes", "MMAC", "MB of constants"], floatfmt=("", "", ".2f", ".2f")
        )

    def explanation(self) -> str:
        return "\n".join(
            f"{name}: {change.kind} {change.op} {clean(change.name)}"
            + (f" ({clean(change.what, WIDEST)})" if change.what else "")
            for name, found in self.details
            for change in found
        )


def _columns(measured: Size) -> list[float]:
    return [measured.nodes, measured.macs / 1e6, measured.constant_bytes / 1e6]
