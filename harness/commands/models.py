"""models with a recipe: list them, show what one says, or fetch its weights"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tabulate import tabulate

import models
from harness import passes
from harness.changes import size
from harness.commands._fetch import add_fetch, place, state
from harness.commands._options import action
from models import PIXEL2_SOURCE, Pixel2, Preprocess, Recipe

COUNTS = {"parameters": "parameters", "multiply-accumulates": "macs"}  # as shown: key among published figures
_ALL = "original, PTQ, QAT"
_FORMS = {"top-1": _ALL, "ms": _ALL, "MB": "original, quantized"}


def add(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="action", required=True)
    action(actions, "list", "names and what they are").set_defaults(action=_list)
    show = action(actions, "show", "everything a recipe says")
    show.add_argument("name")
    show.set_defaults(action=_show)
    add_fetch(actions)


def run(arguments: Namespace) -> int:
    return arguments.action(arguments)


def _list(_arguments: Namespace) -> int:
    rows = [
        [
            recipe.name,
            recipe.description,
            "included" if recipe.build else state(recipe.fetched) or "--weights FILE",
            state(recipe.qat),
            recipe.dataset or "--dataset DIR",
        ]
        for recipe in map(models.load, models.names())
    ]
    print(tabulate(rows, ["model", "what it is", "weights", "QAT", "data set"]))
    print("\npublished: bench models fetch NAME downloads them")
    return 0


def _show(arguments: Namespace) -> int:
    recipe = models.load(arguments.name)
    rows = {
        "model": recipe.name,
        "what it is": recipe.description,
        "input": " × ".join(map(str, recipe.input_shape)),
        "classes": len(recipe.labels) or "",
        "metric": {"top1": "top-1", "auc": "AUC"}[recipe.metric],
        **_counts(recipe),
        "weights": "included" if recipe.build else place(recipe.fetched),
        "QAT weights": place(recipe.qat),
        "--weights FILE": recipe.weights_help,
        "data set": recipe.dataset or "none: give --dataset",
        "preprocessing": _preprocessing(recipe.preprocess),
        "licence": recipe.licence,
    }
    others = {key: value for key, value in recipe.published.items() if key not in COUNTS.values()}
    rows |= {f"published {key}": value for key, value in others.items()}
    rows |= _pixel2(recipe.pixel2) if recipe.pixel2 else {}
    print(tabulate([[key, str(value)] for key, value in rows.items() if value != ""], tablefmt="plain"))
    return 0


def _counts(recipe: Recipe) -> dict[str, str]:
    """Of the architecture with its batch norms folded, and as published."""
    if recipe.seeded is None:
        return {}
    found = size(passes.apply(recipe.seeded(None)))
    counts = (found.constant_bytes / 4, found.macs)
    published = [recipe.published.get(key) for key in COUNTS.values()]
    return {
        name: f"{count:,.0f}" + (f" (published: {stated:,.0f})" if stated else "")
        for name, count, stated in zip(COUNTS, counts, published, strict=True)
    }


def _pixel2(published: Pixel2) -> dict[str, str]:
    """As the table published for it has them: original, PTQ, QAT."""
    figures = {"top-1": published.top1, "ms": published.ms, "MB": published.mb}
    shown = {name: ", ".join("N/A" if x is None else f"{x:g}" for x in row) for name, row in figures.items()}
    return {f"Pixel 2 {name}": f"{row} ({_FORMS[name]})" for name, row in shown.items()} | {
        "Pixel 2 source": PIXEL2_SOURCE
    }


def _preprocessing(preprocess: Preprocess) -> str:
    """In the words of `--preprocess`."""
    parts = []
    if preprocess.crop != 1.0:
        parts.append(f"crop={preprocess.crop:g}")
    if preprocess.resize is not None:
        parts.append("resize={}x{}".format(*preprocess.resize))
    if preprocess.channels == 1:
        parts.append("grey")
    if preprocess.dtype != "uint8":
        parts.append(f"dtype={preprocess.dtype}")
    for name, values in (("mean", preprocess.mean), ("std", preprocess.std)):
        parts.append(f"{name}={':'.join(f'{value:.7g}' for value in values)}")
    if preprocess.label_offset:
        parts.append(f"labels{preprocess.label_offset:+d}")
    return ",".join(parts)
