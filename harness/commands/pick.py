"""which variant to ship on a device, and why (exit code 1 where nothing meets the constraints)"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from devices import DeviceInfo
from harness import reuse
from harness.advise import Constraints, recommend
from harness.commands._options import (
    add_device,
    add_model,
    add_ptq,
    add_quiet,
    add_store,
    add_trial,
    names,
    request,
)
from harness.errors import UsageError
from harness.prepare import Prepared
from harness.progress import ProgressLine
from harness.report.pick import as_json, as_text
from harness.variants import ALL


def add(parser: ArgumentParser) -> None:
    add_device(parser)
    add_model(parser)
    parser.add_argument(
        "--variants",
        type=names,
        default=(ALL,),
        metavar="V[,V…]",
        help="those to choose from (default: all there are)",
    )
    parser.add_argument(
        "--max-drop",
        type=_not_negative,
        default=1.0,
        metavar="POINTS",
        help="of top-1 that may be lost against f32 (default: %(default)g)",
    )
    parser.add_argument(
        "--cost-only",
        action="store_true",
        help="choose without accuracy, where there are no labelled samples",
    )
    parser.add_argument(
        "--budget-ms",
        type=_not_negative,
        metavar="MS",
        help="milliseconds that an inference may take (median)",
    )
    parser.add_argument(
        "--max-mb", type=_not_negative, metavar="MB", help="millions of bytes that the model file may have"
    )
    parser.add_argument("--fixed-point", action="store_true", help="no layer may compute in float")
    add_ptq(parser)
    add_trial(parser)
    add_store(parser)
    parser.add_argument("--json", action="store_true", help="print a document for programs")
    add_quiet(parser)


def _not_negative(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ArgumentTypeError(f"'{text}' is not a number from 0 on")
    return value


def run(arguments: Namespace) -> int:
    """1 where no variant meets the constraints, else 0."""
    constraints = Constraints(
        None if arguments.cost_only else arguments.max_drop,
        arguments.budget_ms,
        arguments.max_mb,
        arguments.fixed_point,
    )

    def check(info: DeviceInfo, job: Prepared) -> None:
        _refuse_unanswerable(constraints, info, job)

    asked = request(arguments, (arguments.device,), (arguments.model,))
    with ProgressLine(arguments.quiet) as progress:
        trials, notes = reuse.trials(asked, check, progress, progress.note)
    found = recommend(trials, constraints)
    print(as_json(found) if arguments.json else as_text(found))
    for note in notes:
        print(note, file=sys.stderr)
    return 0 if found.chosen else 1


def _refuse_unanswerable(constraints: Constraints, info: DeviceInfo, job: Prepared) -> None:
    if constraints.budget_ms is not None and info.emulated:
        raise UsageError(
            f"--budget-ms: device '{info.name}' is emulated, and its milliseconds say nothing about a real "
            "one's: leave it out, then instructions rank the variants, or name a real device"
        )
    if constraints.max_drop is not None and job.evaluation and job.evaluation.metric != "top1":
        raise UsageError(
            f"model '{job.model}' is judged by its {job.evaluation.metric.upper()}, and --max-drop is about "
            "top-1: choose by cost alone with --cost-only"
        )
    if constraints.max_drop is not None and job.evaluation is None:
        raise UsageError(
            f"model '{job.model}': without labelled samples nobody knows what a variant loses: give "
            "--dataset, or choose by cost alone with --cost-only"
        )
