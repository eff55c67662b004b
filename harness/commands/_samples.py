"""Samples given on the command line: image files, or some of a data set."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import models
from harness.commands._options import positive
from harness.datasets import Dataset, open_dataset
from harness.errors import UsageError
from harness.samples import read_sample, storage_of
from harness.sources import PREPROCESS_HELP, parse_preprocess
from models import Preprocess

SAMPLES = 20  # of a data set, where no number is given


@dataclass(frozen=True)
class Samples:
    """Named inputs, read when asked for: (name, float32 in `shape`)."""

    files: tuple[Path, ...]
    dataset: Dataset | None
    preprocess: Preprocess
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.files) if self.dataset is None else len(self.dataset)

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        if self.dataset is not None:
            yield from ((name, self.dataset.reals(i)) for i, name in enumerate(self.dataset.ids))
        for path in self.files:
            yield path.name, read_real(path, self.preprocess, self.shape)


def read_real(path: Path, preprocess: Preprocess, shape: tuple[int, ...]) -> np.ndarray:
    """The real values of one sample file in the model's input shape, as the runner would compute them."""
    stored = read_sample(path, preprocess, shape[1:])
    return storage_of(path, stored.dtype, preprocess).reals(stored).reshape(shape)


def add_samples(parser: ArgumentParser) -> None:
    """--image, --dataset, --samples and --preprocess."""
    parser.add_argument("--image", nargs="+", default=[], type=Path, metavar="F", help="images, .npy or .bin")
    parser.add_argument("--dataset", metavar="NAME|DIR", help="samples of a data set instead")
    parser.add_argument(
        "--samples", type=positive, default=SAMPLES, metavar="N", help="how many of it (default: %(default)s)"
    )
    parser.add_argument(
        "--preprocess", metavar="TEXT", help=f"how images become inputs of a bare file: {PREPROCESS_HELP}"
    )


def read_samples(arguments: Namespace, recipe: str | None, shape: tuple[int, ...]) -> Samples:
    """What the arguments name; a recipe brings its preprocessing and may bring a data set.

    Raises UsageError where there are no samples, or nobody says how they become inputs.
    """
    known = models.load(recipe) if recipe else None
    preprocess = parse_preprocess(arguments.preprocess, known and known.preprocess)
    preprocess = preprocess or (known.preprocess if known else None)
    dataset = arguments.dataset or (known.dataset if known and not arguments.image else None)
    if not arguments.image and dataset is None:
        raise UsageError("there is nothing to compare on: give --image FILE… or --dataset DIR")
    if preprocess is None and (dataset is not None or any(p.suffix != ".npy" for p in arguments.image)):
        raise UsageError(
            f"nobody says how samples become inputs: give --preprocess, for example {PREPROCESS_HELP}"
        )
    preprocess = preprocess or Preprocess()
    opened = open_dataset(dataset, preprocess, shape, arguments.samples) if dataset is not None else None
    return Samples(tuple(arguments.image), opened, preprocess, shape)
