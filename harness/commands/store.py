"""the results database: what is in it, and all raw data to and from a file"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from tabulate import tabulate

from harness import archive
from harness.commands._options import add_quiet, add_store, existing_store
from harness.progress import ProgressLine
from harness.store import Store
from harness.text import clean

WIDEST_SETTING = 40


def add(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="action", required=True)
    shown = actions.add_parser("runs", help="every run: its release, time, devices, models and cells")
    shown.set_defaults(action=_runs)
    add_store(shown)
    written = actions.add_parser("export", help="write all raw data into a .parquet or .jsonl file")
    written.add_argument("file", type=Path, metavar="FILE")
    written.set_defaults(action=_export)
    read = actions.add_parser("import", help="add what such a file holds and the database does not")
    read.add_argument("file", type=Path, metavar="FILE")
    read.set_defaults(action=_import)
    for action in (written, read):
        add_store(action)
        add_quiet(action)


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
            rows.append([*(clean(text, WIDEST_SETTING) for text in texts), len(cells)])
    headers = ["release", "started", "devices", "models", "cells"]
    print(tabulate(rows, headers, disable_numparse=True, colalign=("left",) * 4 + ("right",)))
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
