"""The cells of a report: which are chosen, which stand in its table, and everything that is known of each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from harness.columns import COLUMNS, significant
from harness.errors import UsageError, unknown_name
from harness.report.html_samples import distribution
from harness.results import Cell, LatencySample, RunRecord
from harness.store import Store
from harness.text import clean

NAME_LENGTH = 60
TEXT_LENGTH = 500


def shown(text: object, limit: int = NAME_LENGTH) -> str:
    """Text from outside as one harmless line."""
    return clean(str(text), limit)


@dataclass(frozen=True)
class Selection:
    """What a report is about; empty: everything."""

    releases: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A stored cell, its key in the database and the run that it belongs to."""

    id: int
    run_id: int
    run: RunRecord
    cell: Cell

    @property
    def release(self) -> str:
        """As shown; a run from before releases had names goes by its date."""
        return shown(self.run.release or self.run.started[:10])


def select(store: Store, selection: Selection) -> list[Entry]:
    """The chosen cells, oldest first. Raises UsageError where a name is unknown or nothing is chosen."""
    entries = [
        Entry(cell_id, run_id, run, cell)
        for run_id, run in store.runs().items()
        for cell_id, cell in store.cells(run_id).items()
    ]
    if not entries:
        raise UsageError("the results database is empty: measure something first, for example with bench run")
    kinds = {
        "release": (selection.releases, lambda entry: entry.run.release),
        "device": (selection.devices, lambda entry: entry.cell.device),
        "model": (selection.models, lambda entry: entry.cell.model),
    }
    for kind, (wanted, name_of) in kinds.items():
        known = {name_of(entry) for entry in entries} - {None}
        for name in wanted:
            if name not in known:
                raise unknown_name(kind, name, known)
    chosen = [e for e in entries if all(not want or get(e) in want for want, get in kinds.values())]
    if not chosen:
        raise UsageError("no stored measurement has these releases, devices and models together")
    return chosen


def newest(entries: Iterable[Entry]) -> list[Entry]:
    """The last entry of each device, model and variant, in the order of their first."""
    last: dict[tuple, Entry] = {}
    for entry in entries:
        cell = entry.cell
        last[cell.device, cell.model, cell.variant, cell.arithmetic] = entry
    return sorted(last.values(), key=lambda entry: (entry.cell.device, entry.cell.model))


def dataset_of(store: Store, entry: Entry) -> str:
    """The name of the data set behind a cell's accuracy; the start of its hash where it was not stored."""
    predictions = store.predictions(entry.id)
    return shown(predictions[0].name if predictions else (entry.cell.dataset_sha256 or "")[:12])


def details(store: Store, entry: Entry) -> dict:
    """Everything about a cell that its dialog shows, as harmless text and numbers."""
    cell, processes = entry.cell, store.processes(entry.id)
    before, after = store.facts(entry.id)
    return {
        "title": " · ".join(map(shown, (cell.device, cell.model, cell.arithmetic))),
        "device": shown(cell.device),
        "emulated": cell.emulated,
        "verdict": shown(cell.verdict),
        "reasons": [shown(text, TEXT_LENGTH) for text in cell.reasons],
        "warnings": [shown(text, TEXT_LENGTH) for text in cell.warnings],
        "figures": [
            (column.key.replace("_", " "), _figure(column.get(cell)))
            for column in COLUMNS
            if column.key not in ("verdict", "reasons", "warnings")
        ],
        "facts": [
            (shown(key), *(shown(facts.get(key, "unknown"), TEXT_LENGTH) for facts in (before, after)))
            for key in sorted(before | after)
        ],
        "processes": [_process(process) for process in processes],
        "samples": distribution(processes),
        "run": entry.run_id,
    }


def provenance(run: RunRecord) -> list[tuple[str, str]]:
    """What a run was and what would repeat it, as (name, value) texts."""
    known = {f.name: getattr(run, f.name) for f in fields(run)}
    rows = [(name.replace("_", " "), value) for name, value in known.items() if not isinstance(value, dict)]
    for name in (name for name, value in known.items() if isinstance(value, dict)):
        rows += [(f"{name}: {shown(key)}", value) for key, value in sorted(known[name].items())]
    return [(name, _figure(value)) for name, value in rows]


def _figure(value: object) -> str:
    """A value of any column, for a reader."""
    if value is None or value == "" or value == []:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return significant(value) if math.isfinite(value) else str(value)
    return shown(", ".join(map(str, value)) if isinstance(value, list | tuple) else value, TEXT_LENGTH)


def _process(process: LatencySample) -> Sequence[str]:
    """A row of the dialog's table of processes; its heads are PROCESS_HEADS."""
    values = (
        process.round, process.isa, process.core, len(process.ns), process.warmup_runs, process.cold_ns / 1e6,
        process.load_ns / 1e6, process.arena_bytes, process.vm_hwm_kb, process.involuntary_switches,
    )  # fmt: skip
    return [_figure(value) for value in values]


PROCESS_HEADS = (
    "round", "kernels", "core", "runs", "warm-up runs", "cold start ms", "load ms", "arena bytes",
    "peak memory kB", "preempted",
)  # fmt: skip
