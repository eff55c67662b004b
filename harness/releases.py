"""What a release measured, read from the database by its name or a run's id, or from a JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from harness import records
from harness.errors import FormatError, UsageError, unknown_name
from harness.results import COMPUTED, VALID, Cell, EvaluationSet, Predictions, RunRecord
from harness.store import Store
from harness.text import clean

MAX_FILE_BYTES = 64 << 20

INTERLEAVED = "interleaved"  # the setting of runs that harness/remeasure.py makes

Key = tuple[str, str, str]  # device, model, variant


@dataclass(frozen=True)
class Measured:
    """One cell with what it takes to compare it.

    store, run_id, cell_id, record: None for a cell of a file, which has neither raw samples nor predictions
    nor settings.
    """

    cell: Cell
    store: Store | None = None
    run_id: int | None = None
    cell_id: int | None = None
    record: RunRecord | None = None

    @cached_property
    def process_medians(self) -> np.ndarray | None:
        """Nanoseconds, float (n,): the median of each process; None where raw samples are not at hand."""
        if self.store is None:
            return None
        processes = self.store.processes(self.cell_id)
        return np.array([np.median(process.ns) for process in processes if len(process.ns)], float)

    @cached_property
    def predictions(self) -> tuple[EvaluationSet, Predictions] | None:
        """Of every sample, with their labels; None where they are not at hand."""
        return None if self.store is None else self.store.predictions(self.cell_id)

    @cached_property
    def facts(self) -> dict[str, str]:
        """The device's facts before the trial."""
        return {} if self.store is None else self.store.facts(self.cell_id)[0]

    @property
    def settings(self) -> dict[str, object]:
        """Of the run: how long was measured, on which samples."""
        return {} if self.record is None else self.record.settings

    @property
    def interleaved(self) -> str | None:
        """What two measurements have in common whose processes took turns; None for an ordinary one."""
        return self.settings.get(INTERLEAVED)


@dataclass(frozen=True)
class Side:
    """One side of a comparison. cells: every measurement of a device, model and variant, the newest last."""

    name: str
    cells: dict[Key, list[Measured]] = field(default_factory=dict)

    def newest(self, key: Key) -> Measured:
        """The newest valid measurement, or the newest of any verdict where none is valid."""
        return _newest([m for m in self.cells[key] if m.interleaved is None] or self.cells[key])

    def newest_times(self, key: Key) -> Measured:
        """The same, also of measurements that took nothing but times, interleaved with another release's."""
        return _newest(self.cells[key])


def _newest(measured: Sequence[Measured]) -> Measured:
    return next((m for m in reversed(measured) if m.cell.verdict == VALID), measured[-1])


def is_file(name: str) -> bool:
    """Whether a side's name means a file: it ends in .json."""
    return name.endswith(".json")


def read(name: str, store: Store | None, devices: Sequence[str] = (), models: Sequence[str] = ()) -> Side:
    """The side called `name`: a .json file, a release of `store`, or the id of one of its runs.

    devices, models: only these, all when empty. Raises UsageError for an unknown name or when nothing is
    left, FormatError for a file that is not one of ours.
    """
    found = _from_file(Path(name)) if is_file(name) else _from_store(name, store)
    cells: dict[Key, list[Measured]] = {}
    for measured in found:
        cell = measured.cell
        if (not devices or cell.device in devices) and (not models or cell.model in models):
            cells.setdefault((cell.device, cell.model, cell.variant), []).append(measured)
    if not cells:
        raise UsageError(f"'{name}' has no cell of that device and model")
    return Side(name, cells)


def _from_store(name: str, store: Store) -> list[Measured]:
    runs = store.runs()
    chosen = [run_id for run_id, run in runs.items() if run.release == name]
    if not chosen and name.isdecimal() and int(name) in runs:
        chosen = [int(name)]
    if not chosen:
        releases = list(dict.fromkeys(run.release for run in runs.values() if run.release is not None))
        if not releases:
            raise UsageError(
                f"'{name}' is unknown: no run of the database has a release (bench run --release NAME)"
            )
        raise unknown_name("release", name, releases)
    return [
        Measured(cell, store, run_id, cell_id, runs[run_id])
        for run_id in chosen
        for cell_id, cell in store.cells(run_id).items()
    ]


def _from_file(path: Path) -> list[Measured]:
    """The cells of a file written by `bench run --format json`. Raises FormatError and UsageError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    try:
        if len(content) > MAX_FILE_BYTES:
            raise FormatError("it is too large for a table of results")
        document = json.loads(content)
        entries = document["cells"]
        if document["schema"] != 1 or not isinstance(entries, list):
            raise KeyError
        stored = [{name: entry[name] for name in entry if name not in COMPUTED} for entry in entries]
        return [Measured(records.read(Cell, entry, f"cells[{i}]")) for i, entry in enumerate(stored)]
    except (ValueError, TypeError, LookupError, RecursionError):
        raise FormatError(f"{path}: not written by 'bench run --format json'") from None
    except FormatError as error:
        raise FormatError(f"{path}: {clean(str(error))}") from None
