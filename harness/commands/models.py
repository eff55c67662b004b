"""models with a recipe: list them, show what one says, or fetch its weights"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tabulate import tabulate

import models
from harness.commands._fetch import add_fetch, place, state
from models import Preprocess


def add(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="action", required=True)
    actions.add_parser("list", help="names and what they are").set_defaults(action=_list)
    show = actions.add_parser("show", help="everything a recipe says")
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
        "weights": "included" if recipe.build else place(recipe.fetched),
        "QAT weights": place(recipe.qat),
        "--weights FILE": recipe.weights_help,
        "data set": recipe.dataset or "none: give --dataset",
        "preprocessing": _preprocessing(recipe.preprocess),
        "licence": recipe.licence,
    }
    rows |= {f"published {key}": value for key, value in recipe.published.items()}
    print(tabulate([[key, str(value)] for key, value in rows.items() if value != ""], tablefmt="plain"))
    return 0


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
