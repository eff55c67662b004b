"""whether two models give the same answers on real images, and where they part"""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tabulate import tabulate

import models
from harness import importers
from harness.commands._options import add_quiet, add_weights, names, positive
from harness.commands._samples import add_samples, read_samples
from harness.graph import Graph
from harness.host import HostNetwork, OnnxNetwork
from harness.progress import ProgressLine
from harness.sources import open_source
from harness.text import clean
from harness.verify import Comparison, compare, share_input_shape

WIDEST = 100  # of a layer's name


def add(parser: ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", help="a model file, or a recipe's name")
    parser.add_argument("b", metavar="B", help="the model to compare with it")
    add_samples(parser)
    add_weights(parser)
    parser.add_argument("--inputs", type=names, default=(), metavar="N,…", help="where both networks begin")
    parser.add_argument("--outputs", type=names, default=(), metavar="N,…", help="where both end")
    parser.add_argument(
        "--decimals",
        type=positive,
        default=5,
        metavar="N",
        help="no value may differ by more than 10^-N (default: %(default)s)",
    )
    parser.add_argument("--layers", action="store_true", help="find the first layer that differs by more")
    add_quiet(parser)


def run(arguments: Namespace) -> int:
    chosen = (arguments.a, arguments.b)
    with ProgressLine(arguments.quiet) as progress, tempfile.TemporaryDirectory() as folder:
        a, b = (_load(model, arguments, progress) for model in chosen)
        share_input_shape(*(x.graph if isinstance(x, OnnxNetwork) else x for x in (a, b)))
        first, second = (
            x if isinstance(x, OnnxNetwork) else HostNetwork(x, Path(folder), lambda *_: None) for x in (a, b)
        )
        recipe = next((model for model in chosen if model in models.names()), None)
        samples = read_samples(arguments, recipe, first.input_shape)

        def counted() -> Iterator[np.ndarray]:
            for done, (_, x) in enumerate(samples):
                progress("comparing", done, len(samples))
                yield x

        found = compare(first, second, counted(), arguments.layers)
    print(_summary(found))
    if arguments.layers:
        print("\n" + _layers(found, arguments.decimals))
    agree = found.worst.agrees(arguments.decimals)
    print(f"\nthey {'agree' if agree else 'do NOT agree'} to {arguments.decimals} decimals")
    return 0 if agree else 1


def _load(model: str, arguments: Namespace, progress: ProgressLine) -> Graph | OnnxNetwork:
    """A recipe's network, or a file's exactly as it says."""
    if Path(model).suffix.lower() == ".onnx":
        return OnnxNetwork(Path(model))
    if model in models.names():
        return open_source(model, arguments.weights, progress=progress).graph
    return importers.load(model, arguments.inputs, arguments.outputs)


def _summary(found: Comparison) -> str:
    worst = found.worst
    return tabulate(
        [
            ["samples", found.samples],
            ["largest difference", f"{worst.largest:.3g}"],
            ["decimals of agreement", worst.decimals],
            ["same top-1", f"{found.same_top1} of {found.samples}"],
        ],
        tablefmt="plain",
        disable_numparse=True,
    )


def _layers(found: Comparison, decimals: int) -> str:
    layer = found.first_diverging(decimals)
    if layer is None:
        return f"layers: no difference in {len(found.layers)} that both have lasts to the outputs"
    pairs = found.layers + found.outputs
    agree = sum(pair.agrees(decimals) for pair in pairs[: pairs.index(layer)])
    other = "" if layer.name_a == layer.name_b else f" (in B {clean(layer.name_b, WIDEST)})"
    return (
        f"layers: {agree} agree before the first that does not:\n"
        f"  {clean(layer.name_a, WIDEST)}{other} differs by {layer.largest:.3g}"
    )
