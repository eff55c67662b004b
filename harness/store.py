"""The results database: every raw sample, prediction, verdict and device fact of every run.

A measurement is committed in one transaction, so a controller that is killed loses only the cell in flight.
One that cannot be stored goes to a spool file (harness/spool.py), which the next open stores.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from harness import cache, rows
from harness.database import Database, Unavailable, parse_url
from harness.errors import FormatError, UsageError
from harness.results import Cell, EvaluationSet, LatencySample, Measurement, Predictions, RunRecord
from harness.runner_events import NodeTime
from harness.schema import CELLS, DEVICES
from harness.spool import Spool

DEFAULT_PATH = Path("results") / "quantbench.db"

Note = Callable[[str], None]  # told what the user should know, one line each


def _on_stderr(text: str) -> None:
    print(text, file=sys.stderr)


class Store:
    """An open results database. Use `Store.open`; close it, or use it in a `with` statement."""

    def __init__(self, database: Database, spool: Spool, note: Note) -> None:
        self._database = database
        self._spool = spool
        self._note = note

    @classmethod
    def open(cls, where: str | Path = DEFAULT_PATH, note: Note = _on_stderr) -> Store:
        """Opens a file's path or a database URL, and stores what waits in its spool.

        Raises FormatError for a damaged or foreign database, UsageError for one that cannot be reached or
        stays locked for harness.database.BUSY_TIMEOUT_S.
        """
        store = cls(Database.open(where), Spool(spool_path(where)), note)
        store._replay()
        return store

    def _replay(self) -> None:
        replayed = self._spool.replay(self._insert)
        if replayed.stored:
            self._note(f"stored {replayed.stored} measurements that waited in {self._spool.path}")
        if replayed.waiting:
            self._note(f"{replayed.waiting} measurements still wait in {self._spool.path}: {replayed.reason}")
        for number, why in replayed.damaged.items():
            self._note(f"{self._spool.path}: line {number} cannot be stored and is kept: {why}")

    def _insert(self, record: RunRecord, measurement: Measurement) -> int | None:
        with self._database.transaction(writes=True) as connection:
            return rows.insert(connection, record, measurement)

    def close(self) -> None:
        """Gives back the connection."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # --- writing ---

    def new_run(self, record: RunRecord) -> RunWriter:
        """A writer for a run's measurements. The run itself is stored with the first of them."""
        return RunWriter(self, record)

    def merge(self, measurements: Iterable[tuple[RunRecord, Measurement]]) -> tuple[int, int]:
        """Stores what is not there yet, all or nothing; returns how many were new and how many known.

        A measurement is known by its run's uuid, device, model and variant.
        """
        new = known = 0
        with self._database.transaction(writes=True) as connection:
            for record, measurement in measurements:
                if rows.insert(connection, record, measurement) is None:
                    known += 1
                else:
                    new += 1
        return new, known

    # --- reading ---

    def runs(self) -> dict[int, RunRecord]:
        """Every run by its id, oldest first."""
        with self._database.reading() as connection:
            return rows.runs(connection)

    def cells(self, run_id: int) -> dict[int, Cell]:
        """The cells of a run by their id, in the order they were stored."""
        with self._database.reading() as connection:
            return {cell_id: cell for _, cell_id, cell in rows.cells(connection, CELLS.c.run_id == run_id)}

    def history(self, device: str, model: str, variant: str | None = None) -> list[tuple[int, int, Cell]]:
        """Run id, cell id and cell of every measurement of a model on one device, oldest first.

        variant: only of this one.
        """
        conditions = [DEVICES.c.name == device, CELLS.c.model == model]
        conditions += [] if variant is None else [CELLS.c.variant == variant]
        with self._database.reading() as connection:
            return list(rows.cells(connection, *conditions))

    def facts(self, cell_id: int) -> tuple[dict[str, str], dict[str, str]]:
        """The device's facts before and after the trial of a cell."""
        with self._database.reading() as connection:
            return rows.facts(connection, cell_id)

    def processes(self, cell_id: int) -> list[LatencySample]:
        """The raw latency samples of a cell."""
        with self._database.reading() as connection:
            return rows.processes(connection, cell_id)

    def layers(self, cell_id: int) -> list[NodeTime]:
        """The profile of a cell: every node in execution order; empty where none was made."""
        with self._database.reading() as connection:
            return rows.layers(connection, cell_id)

    def predictions(self, cell_id: int) -> tuple[EvaluationSet, Predictions] | None:
        """Top-k of every sample of a cell, and the samples' names and labels; None where none were made."""
        with self._database.reading() as connection:
            return rows.predictions(connection, cell_id)

    def measurement(self, cell_id: int) -> Measurement:
        """A cell with all its raw data, as it was stored."""
        with self._database.reading() as connection:
            return rows.measurement(connection, cell_id)


class RunWriter:
    """Writes the measurements of one run, a transaction each."""

    def __init__(self, store: Store, record: RunRecord) -> None:
        self._store = store
        self._record = record

    @property
    def run_id(self) -> int | None:
        """The run's id in the database; None until its first measurement is there."""
        runs = self._store.runs().items()
        return next((run_id for run_id, record in runs if record.uuid == self._record.uuid), None)

    def add(self, measurement: Measurement) -> int | None:
        """Stores a measurement with all its raw data, or nothing; returns the cell's id.

        None where the database cannot take it now: then it waits in the spool, and the user is told. Raises
        UsageError where it can go nowhere, and for a cell that the run has already.
        """
        store, cell = self._store, measurement.cell
        try:
            cell_id = store._insert(self._record, measurement)
        except (Unavailable, FormatError) as error:
            store._spool.append(self._record, measurement)
            store._note(f"{error}. The measurement waits in {store._spool.path} and is stored later")
            return None
        if cell_id is None:
            raise UsageError(f"{cell.device}: {cell.model}: {cell.variant} was stored in this run already")
        return cell_id


def spool_path(where: str | Path) -> Path:
    """Beside a database file; for a server, in the user's cache, named after its URL without the password."""
    url = parse_url(where)
    if url.get_backend_name() == "sqlite":
        return Path(f"{url.database}.spool.jsonl")
    place = url.set(password=None).render_as_string()
    return cache.folder("spool") / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.jsonl"
