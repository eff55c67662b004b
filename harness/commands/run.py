"""measure models on devices and print the table (the default command)"""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser, Namespace
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from tabulate import tabulate

from harness import estimate, pipeline
from harness.columns import TABLE, WIDE
from harness.commands._options import (
    add_model,
    add_ptq,
    add_quiet,
    add_store,
    add_trial,
    names,
    request,
    store_exists,
    write_whole,
)
from harness.database import parse_url, shown_name
from harness.progress import ProgressLine
from harness.report.pixel2 import pixel2_table
from harness.report.table import FORMATS, render
from harness.report.wide import wide_table
from harness.results import FAILED, VALID
from harness.store import Store
from harness.text import clean, duration
from harness.variants import ALL, VARIANTS

LAYOUTS = {"pixel2": pixel2_table}


def add(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--device", required=True, type=names, metavar="D[,D…]", help="registered names (bench devices list)"
    )
    add_model(parser, several=True)
    parser.add_argument(
        "--variants",
        type=names,
        metavar="V[,V…]",
        help=f"of {', '.join(VARIANTS)}, or {ALL} that can be made "
        f"(default: {','.join(name for name, kind in VARIANTS.items() if kind.by_default)})",
    )
    add_ptq(parser)
    add_trial(parser)
    parser.add_argument(
        "--format", choices=FORMATS, default="table", help="of the table (default: %(default)s)"
    )
    layout = parser.add_mutually_exclusive_group()
    layout.add_argument(
        "--wide",
        action="store_true",
        help="also compressed size, memory, and the times to load and of the first inference",
    )
    layout.add_argument(
        "--like",
        choices=LAYOUTS,
        help="the columns of a published table, and its figures of the same models below ours",
    )
    parser.add_argument("--out", metavar="FILE", help="write the table there instead of standard output")
    add_store(parser)
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the last run of the same request: measure what it has not stored",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be measured and for how long, and do nothing"
    )
    add_quiet(parser)


def run(arguments: Namespace) -> int:
    """3 where a cell failed, 1 where one is invalid, else 0."""
    asked = request(arguments, arguments.device, arguments.model, resume=arguments.resume)
    if arguments.dry_run:
        return _dry_run(asked)
    with ProgressLine(arguments.quiet) as progress:
        outcome = pipeline.run(asked, progress, progress.note)
    width = shutil.get_terminal_size((110, 40)).columns
    layout = LAYOUTS.get(arguments.like, partial(wide_table, columns=WIDE if arguments.wide else TABLE))
    text = render(outcome.cells, outcome.record, arguments.format, width, layout)
    if arguments.out is None:
        print(text)
    else:
        write_whole(Path(arguments.out), f"{text}\n".encode())
    for note in outcome.notes:
        print(note, file=sys.stderr)
    verdicts = {cell.verdict for cell in outcome.cells}
    if FAILED in verdicts:
        return 3
    return 0 if verdicts == {VALID} else 1


def _dry_run(asked: pipeline.Request) -> int:
    with Store.open(asked.store) if store_exists(asked.store) else nullcontext() as store:
        planned = list(estimate.plan(asked, store))
    headers = ["device", "model", "variant", "processes", "samples", "bytes", "time"]
    print(tabulate(map(_planned_row, planned), headers, colalign=["left"] * 3 + ["right"] * 4))
    processes, seconds = sum(p.processes for p in planned), sum(p.seconds for p in planned)
    least = "" if all(p.earlier for p in planned) else "at least "
    print(f"\n{len(planned)} cells, {processes} timed processes, {least}{duration(seconds)}")
    place = shown_name(parse_url(asked.store))  # without a password
    print(f"release: {asked.release or 'none'}; store: {place}")
    return 0


def _planned_row(planned: estimate.Planned) -> list[object]:
    """Size and time as measured earlier; without that the size is unknown and the time a minimum."""
    earlier = planned.earlier
    size = earlier.size_bytes if earlier and earlier.size_bytes is not None else ""
    time = f"{'about' if earlier else '≥'} {duration(planned.seconds)}"
    names = (clean(planned.device), clean(planned.model), planned.variant)
    return [*names, planned.processes, planned.samples or "", size, time]
