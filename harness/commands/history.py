"""a model's figures on a device over the releases, with the changes marked"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from harness import history
from harness.commands._options import add_device, existing_store
from harness.errors import UsageError
from harness.history import Point
from harness.report.history import render
from harness.store import DEFAULT_PATH, Store
from harness.text import clean


def add(parser: ArgumentParser) -> None:
    add_device(parser)
    parser.add_argument("--model", required=True, metavar="M", help="the model's name, as in the table")
    parser.add_argument("--variant", metavar="V", help="only this one; all by default")
    parser.add_argument(
        "--metric",
        choices=history.METRICS,
        help="(default: latency_median_ms, and instructions on an emulated device)",
    )
    parser.add_argument(
        "--store", default=str(DEFAULT_PATH), metavar="URL", help="the database (default: %(default)s)"
    )


def run(arguments: Namespace) -> int:
    device, model = arguments.device, arguments.model
    with existing_store(arguments.store) as store:
        measured = store.history(device, model, arguments.variant)
        blocks = []
        for variant in dict.fromkeys(cell.variant for _, _, cell in measured):
            metric, points = _points(store, device, model, variant, arguments.metric)
            if points:
                blocks.append(f"{clean(' '.join((device, model, variant)), 100)}\n{render(points, metric)}")
    if not blocks:
        raise UsageError(
            f"no release has a valid measurement of '{model}' on '{device}': "
            "measure with bench run --release NAME, or see the names in bench report"
        )
    print("\n\n".join(blocks))
    return 0


def _points(
    store: Store, device: str, model: str, variant: str, metric: str | None
) -> tuple[str, list[Point]]:
    """The metric that is shown and its values; instructions where no time counts and none was asked for."""
    for candidate in [metric] if metric else ["latency_median_ms", "instructions"]:
        if points := history.series(store, device, model, variant, candidate):
            return candidate, points
    return candidate, []
