"""a model's five likeliest labels for images, computed on this machine"""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from harness.commands._options import add_model, add_quiet, add_variant, positive, source_as
from harness.commands._samples import read_real
from harness.errors import FormatError, UsageError
from harness.host import HostNetwork
from harness.progress import ProgressLine
from harness.sources import PREPROCESS_HELP, open_source
from harness.text import clean
from models import Preprocess


def add(parser: ArgumentParser) -> None:
    add_model(parser)
    add_variant(parser)
    parser.add_argument("image", nargs="+", type=Path, metavar="IMAGE", help="images, .npy or .bin")
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="one label a line (default: the recipe's)"
    )
    parser.add_argument(
        "--top", type=positive, default=5, metavar="N", help="how many (default: %(default)s)"
    )
    add_quiet(parser)


def run(arguments: Namespace) -> int:
    with ProgressLine(arguments.quiet) as progress:
        source = open_source(arguments.model, arguments.weights, arguments.preprocess, progress=progress)
    if source.preprocess is None and any(path.suffix != ".npy" for path in arguments.image):
        raise UsageError(
            f"model '{source.name}' does not say how images become inputs: give --preprocess, "
            f"for example {PREPROCESS_HELP}"
        )
    if source.metric == "auc":
        raise UsageError(f"model '{source.name}' repeats its input: it has no labels to give")
    labels = _labels(arguments.labels, source.labels, source.classes)
    preprocess = source.preprocess or Preprocess()
    with ProgressLine(arguments.quiet) as progress, tempfile.TemporaryDirectory() as folder:
        graph = source_as(arguments, Path(folder), progress).trial_graph
        network = HostNetwork(graph, Path(folder), lambda *_: None)
        for path in arguments.image:
            (scores, *_) = network.run(read_real(path, preprocess, network.input_shape))
            print("\n".join([clean(path.name), *_lines(scores.reshape(-1), labels, arguments.top)]))
    return 0


def _labels(path: Path | None, known: tuple[str, ...], classes: int) -> list[str]:
    """A label for each class: of the file, the recipe's, or the class's number."""
    if path is None:
        return list(known) or [f"class {index}" for index in range(classes)]
    try:
        labels = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not a text file in UTF-8") from error
    if len(labels) != classes:
        raise FormatError(f"{path} has {len(labels)} labels, but the model has {classes} classes")
    return labels


def _lines(scores: np.ndarray, labels: list[str], count: int) -> list[str]:
    best = np.argsort(-scores, kind="stable")[:count]
    return [f"  {scores[index]:.5f}  {clean(labels[index])}" for index in best]
