"""the results database: what is in it, and all raw data to and from a file"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from tabulate import tabulate

from harness import archive
from harness.commands._options import action, add_quiet, add_store, existing_store, positive
from harness.errors import UsageError
from harness.progress import ProgressLine
from harness.report.table import FORMATS, render
from harness.store import Store
from harness.text import clean

WIDEST_SETTING = 40


def add(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="action", required=True)
    shown = action(actions, "runs", "every run: its release, time, devices, models and cells")
    shown.set_defaults(action=_runs)
    add_store(shown)
    show = action(actions, "show", "the figures of a run, as bench run prints them")
    show.add_argument("number", type=positive, metavar="RUN", help="its number (bench store runs)")
    show.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="(default: %(default)s)")
    show.set_defaults(action=_show)
    add_store(show)
    written = action(actions, "export", "write all raw data into a .parquet or .jsonl file")
    written.add_argument("file", type=Path, metavar="FILE")
    written.set_defaults(action=_export)
    read = action(actions, "import", "add what such a file holds and the database does not")
    read.add_argument("file", type=Path, metavar="FILE")
    read.set_defaults(action=_import)
    for moving in (written, read):
        add_store(moving)
        add_quiet(moving)


def run(arguments: Namespace) -> int:
    return arguments.action(arguments)


def _runs(arguments: Namespace) -> int:
    rows = []
    with existing_store(arguments.store) as store:
        for run_id, record in store.runs().items():
            cells = store.cells(run_id).values()
            devices = ", ".join(sorted({cell.device for cell in cells}))
            models = ", ".join(sorted({cell.model for cell in cells}))
            texts = (record.release or "", record.started, devices, models)
            rows.append([run_id, *(clean(text, WIDEST_SETTING) for text in texts), len(cells)])
    headers = ["run", "release", "started", "devices", "models", "cells"]
    print(tabulate(rows, headers, disable_numparse=True, colalign=("right", *["left"] * 4, "right")))
    return 0


def _show(arguments: Namespace) -> int:
    with existing_store(arguments.store) as store:
        record = store.runs().get(arguments.number)
        if record is None:
            raise UsageError(f"'{arguments.store}' has no run {arguments.number} (bench store runs)")
        print(render(list(store.cells(arguments.number).values()), record, arguments.format))
    return 0


def _export(arguments: Namespace) -> int:
    with existing_store(arguments.store) as store, ProgressLine(arguments.quiet) as progress:
        count = archive.export(store, arguments.file, progress)
    print(f"{arguments.file}: {count} measurements")
    return 0


def _import(arguments: Namespace) -> int:
    with Store.open(arguments.store) as store, ProgressLine(arguments.quiet) as progress:
        new, known = archive.load(store, arguments.file, progress)
    print(f"{arguments.file}: {new} measurements added, {known} were there already")
    return 0
