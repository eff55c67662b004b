"""`bench models fetch`: published weights into the cache, from the network or from the user's own files."""

from __future__ import annotations

from argparse import Namespace, _SubParsersAction
from pathlib import Path

from tabulate import tabulate

import models
from harness import fetch
from harness.commands._options import action, add_quiet, names
from harness.errors import UsageError
from harness.progress import ProgressLine
from models import Download, Recipe


def add_fetch(actions: _SubParsersAction) -> None:
    """Declares the action."""
    parser = action(actions, "fetch", "download published weights, or take what you have")
    parser.add_argument("names", type=names, metavar="NAME[,NAME…]", help="recipes (bench models list)")
    parser.add_argument(
        "--from",
        dest="given",
        type=Path,
        metavar="FILE|DIR",
        help="take the weights, or the archive with them, from here; nothing is downloaded",
    )
    parser.add_argument(
        "--qat", action="store_true", help="only the weights that were trained with quantization"
    )
    add_quiet(parser)
    parser.set_defaults(action=_fetch)


def state(published: Download | None) -> str:
    """Of published weights, for a table."""
    if published is None:
        return ""
    return "published" if fetch.cached(published) is None else "fetched"


def place(published: Download | None) -> str:
    """Where the weights are: their file in the cache, else their URL."""
    return "" if published is None else str(fetch.cached(published) or published.url)


def _fetch(arguments: Namespace) -> int:
    recipes = [models.load(name) for name in arguments.names]
    rows = []
    with ProgressLine(arguments.quiet) as progress:
        for recipe in recipes:
            published = _published(recipe, arguments.qat)
            if arguments.given is not None:
                files = _taken(recipe.name, published, arguments.given, progress)
            else:
                files = {kind: fetch.path(wanted, progress) for kind, wanted in published.items()}
            rows += [
                [recipe.name, kind, f"{file.stat().st_size / 1e6:.1f}", file] for kind, file in files.items()
            ]
    headers = ["model", "weights", "MB", "file"]
    print(tabulate(rows, headers, colalign=("left", "left", "right", "left"), disable_numparse=True))
    return 0


def _published(recipe: Recipe, qat: bool) -> dict[str, Download]:
    """What there is, by kind. Raises UsageError where that is nothing."""
    known = {"QAT": recipe.qat} if qat else {"float": recipe.fetched, "QAT": recipe.qat}
    found = {kind: wanted for kind, wanted in known.items() if wanted is not None}
    if not found:
        what = "no weights trained with quantization" if qat else "no weights"
        included = " (its weights come with this package)" if recipe.build else ""
        raise UsageError(f"model '{recipe.name}': {what} are published to fetch{included}")
    return found


def _taken(
    model: str, published: dict[str, Download], given: Path, progress: ProgressLine
) -> dict[str, Path]:
    """The published weights that are found at `given`, in the cache now. Raises UsageError where none is.

    A file whose name fits none is taken for the first of them.
    """
    places = {kind: fetch.find(wanted, given) for kind, wanted in published.items()}
    found = {kind: place for kind, place in places.items() if place is not None}
    if not found and given.is_file():
        found = {next(iter(published)): given}
    if not found:
        looked_for = ", ".join(name for wanted in published.values() for name in fetch.file_names(wanted))
        what = "has none of the files of" if given.is_dir() else "is no file or folder with the weights of"
        raise UsageError(f"{given} {what} model '{model}': {looked_for}")
    return {kind: fetch.take(published[kind], place, progress) for kind, place in found.items()}
