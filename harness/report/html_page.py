"""Everything that stands on the report page, section by section, as plain dicts, lists and texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from harness import __version__
from harness.columns import TABLE, Column
from harness.report import html_charts as charts
from harness.report.html_cells import (
    PROCESS_HEADS,
    Entry,
    Selection,
    details,
    newest,
    provenance,
    select,
    shown,
)
from harness.report.table import TERMINAL
from harness.report.wide import wide_table
from harness.results import FAILED, VALID, Cell
from harness.store import Store

MOST_DETAILS = 400  # cells that can be looked into; those of the tables come first, then the newest


def page(store: Store, selection: Selection) -> dict:
    """The page of the chosen cells. Charts show what stands in its first table, but for the history.

    Raises UsageError where nothing is chosen.
    """
    entries = select(store, selection)
    groups = _tables(entries, selection.releases)
    first = next(iter(groups.values()))
    history = charts.histories(first, store)
    in_tables = {entry.id: entry for group in groups.values() for entry in group}
    looked_into = dict(list((in_tables | {e.id: e for e in reversed(entries)}).items())[:MOST_DETAILS])
    for point in (p for panel in history for line in panel["lines"] for p in line["points"]):
        point["cell"] = point["cell"] if point["cell"] in looked_into else None
    parts = {
        "tradeoffs": charts.tradeoffs(first, store),
        "sizes": charts.sizes(first),
        "layers": charts.layers(first, store),
        "history": history,
    }
    cells = {key: details(store, entry) for key, entry in looked_into.items()}
    runs = {entry.run_id: provenance(entry.run) for entry in looked_into.values()}
    return {
        "title": "Benchmark report",
        "subtitle": _subtitle(entries),
        "footer": _footer(len(looked_into), len(entries)),
        "devices": sorted({shown(entry.cell.device) for entry in in_tables.values()}),
        "tables": [_table(title, group, looked_into) for title, group in groups.items()],
        **parts,
        "data": parts | {"cells": cells, "runs": runs, "process_heads": PROCESS_HEADS},
    }


def _tables(entries: Sequence[Entry], releases: Sequence[str]) -> dict[str, list[Entry]]:
    """Title → the table's cells: one for each release asked for, newest first, else one of them all."""
    if not releases:
        group = newest(entries)
        names = list(dict.fromkeys(entry.release for entry in group))
        return {f"Newest measurement of each cell ({_some(names)})": group}
    last = {entry.run.release: entry.run_id for entry in entries}
    ordered = sorted(last, key=last.__getitem__, reverse=True)
    return {f"Release {shown(name)}": newest(e for e in entries if e.run.release == name) for name in ordered}


def _subtitle(entries: Sequence[Entry]) -> str:
    runs = {entry.run_id: entry.run for entry in entries}
    dates = sorted(shown(run.started[:10]) for run in runs.values())
    span = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    return f"{_count(len(entries), 'cell')} of {_count(len(runs), 'run')}, {span}"


def _footer(looked_into: int, entries: int) -> str:
    made = f"Made by quantbench {__version__} at {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
    drawn = "Distributions are drawn as histograms; every raw sample is in the results database."
    if looked_into < entries:
        drawn += f" This file has the details of {looked_into:,} of {entries:,} cells."
    return f"{made} {drawn}"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _some(names: Sequence[str], most: int = 4) -> str:
    """The newest of these names."""
    left = len(names) - most
    return ", ".join(names[-most:]) + (f" and {left} older" if left > 0 else "")


def _table(title: str, entries: Sequence[Entry], looked_into: Iterable[int]) -> dict:
    """A results table, as a terminal shows it, whose figures know their cells."""
    ids = {entry.cell: entry.id for entry in entries if entry.id in looked_into}
    table = wide_table([entry.cell for entry in entries], TERMINAL)
    columns = [column for column in TABLE if column.key in table.titles]
    rows = []
    for r, (names, cells) in enumerate(zip(table.rows, table.cells, strict=True)):
        figures = [
            {
                "text": table.values[column.key, i][r],
                "cell": ids.get(cell),
                "what": f"{column.header} {table.labels[column.key, i]}, {names[1]} on {names[0]}",
                "verdict": _verdict(column, cell),
                "muted": cell is None or column.get(cell) is None or (column.clocked and cell.emulated),
                "clocked": column.clocked,
                "first": i == 0,
            }
            for column in columns
            for i, cell in enumerate(cells)
        ]
        device = next(shown(cell.device) for cell in cells if cell)
        rows.append({"names": names, "device": device, "figures": figures})
    return {
        "title": title,
        "groups": list(table.titles.values()),
        "arithmetics": [label for (key, _), label in table.labels.items() if key == columns[0].key],
        "rows": rows,
        "notes": table.notes,
    }


def _verdict(column: Column, cell: Cell | None) -> str:
    """The verdict on a figure that needs a mark, else nothing."""
    if cell is None or not column.measured or cell.verdict == VALID:
        return ""
    return cell.verdict if cell.verdict == FAILED or column.get(cell) is not None else ""
