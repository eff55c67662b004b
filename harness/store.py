"""The results database: every raw sample, prediction, verdict and device fact of every run.

SQLite in WAL mode by default, through SQLAlchemy Core; the tables are in harness/schema.py. A measurement is
committed in one transaction, so a controller that is killed loses only the cell in flight. A damaged file is
refused and left as it is.
"""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from harness.errors import BenchError, FormatError, UsageError
from harness.results import Cell, EvaluationSet, Latency, LatencySample, Measurement, Predictions, RunRecord
from harness.runner_events import NodeTime
from harness.schema import CELLS, DATASETS, DEVICES, LAYERS, PREDICTIONS, PROCESSES, RUNS, prepare
from harness.text import clean

DEFAULT_PATH = Path("results") / "quantbench.db"
BUSY_TIMEOUT_S = 10.0
MAX_BLOB_BYTES = 1 << 30

_DEVICE_FIELDS = ("arch", "cpu", "emulated")  # of a cell, kept in `devices`
_CELL_FIELDS = [f.name for f in fields(Cell) if f.name not in ("device", "latency_ms", *_DEVICE_FIELDS)]
_LAYER_FIELDS = [f.name for f in fields(NodeTime) if f.name != "ns"]
_PROCESS_FIELDS = [f.name for f in fields(LatencySample) if f.name != "ns"]

_CELLS_WITH_DEVICES = (
    sa.select(CELLS, DEVICES.c.name.label("device"), *(DEVICES.c[f] for f in _DEVICE_FIELDS))
    .join(DEVICES, CELLS.c.device_id == DEVICES.c.id)
    .order_by(CELLS.c.id)
)


class Store:
    """An open results database. Use `Store.open`; close it, or use it in a `with` statement."""

    def __init__(self, engine: sa.Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    @classmethod
    def open(cls, where: str | Path = DEFAULT_PATH) -> Store:
        """Opens a file's path or a database URL; a missing file is made, with its folder.

        Raises FormatError for a damaged or foreign database, UsageError for one that cannot be reached or
        stays locked for BUSY_TIMEOUT_S.
        """
        url = _url(where)
        try:
            engine = sa.create_engine(url)
        except (sa.exc.ArgumentError, ModuleNotFoundError) as error:
            raise UsageError(f"results database '{where}': {clean(str(error))}") from error
        store = cls(engine, url.database if _is_sqlite(url) else url.render_as_string(hide_password=True))
        if _is_sqlite(url):
            sa.event.listen(engine, "connect", _set_up_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
        try:
            store._check()
        except BenchError:
            store.close()
            raise
        return store

    def _check(self) -> None:
        with self._transaction(writes=True) as connection:
            if connection.dialect.name == "sqlite":
                found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
                if found != "ok":
                    raise FormatError(self._damaged(found))
            try:
                prepare(connection)
            except FormatError as error:
                raise FormatError(f"results database '{self._name}': {error}") from None

    def close(self) -> None:
        """Gives back the connection."""
        self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # --- writing ---

    def new_run(self, record: RunRecord) -> RunWriter:
        """A writer for a run's measurements. The run itself is stored with the first of them."""
        return RunWriter(self, record)

    # --- reading ---

    def runs(self) -> dict[int, RunRecord]:
        """Every run by its id, oldest first."""
        with self._reading() as connection:
            rows = connection.execute(RUNS.select().order_by(RUNS.c.id)).mappings().all()
            return {row["id"]: RunRecord(**{k: v for k, v in row.items() if k != "id"}) for row in rows}

    def cells(self, run_id: int) -> dict[int, Cell]:
        """The cells of a run by their id, in the order they were measured."""
        with self._reading() as connection:
            rows = connection.execute(_CELLS_WITH_DEVICES.where(CELLS.c.run_id == run_id)).mappings()
            return {row["id"]: _cell(row) for row in rows}

    def history(self, device: str, model: str, variant: str) -> list[tuple[int, int, Cell]]:
        """Run id, cell id and cell of every measurement of one variant on one device, oldest first."""
        query = _CELLS_WITH_DEVICES.where(
            CELLS.c.model == model, CELLS.c.variant == variant, DEVICES.c.name == device
        )
        with self._reading() as connection:
            rows = connection.execute(query).mappings()
            return [(row["run_id"], row["id"], _cell(row)) for row in rows]

    def facts(self, cell_id: int) -> tuple[dict[str, str], dict[str, str]]:
        """The device's facts before and after the trial of a cell."""
        with self._reading() as connection:
            query = sa.select(CELLS.c.facts_before, CELLS.c.facts_after).where(CELLS.c.id == cell_id)
            return tuple(connection.execute(query).one())

    def processes(self, cell_id: int) -> list[LatencySample]:
        """The raw latency samples of a cell."""
        with self._reading() as connection:
            query = PROCESSES.select().where(PROCESSES.c.cell_id == cell_id).order_by(PROCESSES.c.id)
            return [
                LatencySample(ns=_array(row["ns"], "<i8"), **{name: row[name] for name in _PROCESS_FIELDS})
                for row in connection.execute(query).mappings()
            ]

    def layers(self, cell_id: int) -> list[NodeTime]:
        """The profile of a cell: every node in execution order; empty where none was made."""
        with self._reading() as connection:
            query = LAYERS.select().where(LAYERS.c.cell_id == cell_id).order_by(LAYERS.c.index)
            return [
                NodeTime(ns=tuple(_array(row["ns"], "<i8").tolist()), **{f: row[f] for f in _LAYER_FIELDS})
                for row in connection.execute(query).mappings()
            ]

    def predictions(self, cell_id: int) -> tuple[EvaluationSet, Predictions] | None:
        """Top-k of every sample of a cell, and the samples' names and labels; None where none were made."""
        query = (
            sa.select(PREDICTIONS, DATASETS)
            .join(DATASETS, PREDICTIONS.c.dataset_sha256 == DATASETS.c.sha256)
            .where(PREDICTIONS.c.cell_id == cell_id)
        )
        with self._reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                return None
            ids = tuple(json.loads(_inflate(row["ids"])))
            dataset = EvaluationSet(row["name"], row["sha256"], ids, _array(row["labels"], "<i4"))
            shape = (len(ids), row["k"])
            classes, scores = _array(row["classes"], "<i4"), _array(row["scores"], "<f4")
            return dataset, Predictions(classes.reshape(shape), scores.reshape(shape))

    # --- transactions and errors ---

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[sa.Connection]:
        try:
            with self._engine.execution_options(writes=writes).begin() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise self._explained(error.orig) from error
        except sqlite3.Error as error:  # from the connect event, which SQLAlchemy does not wrap
            raise self._explained(error) from error

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._transaction(writes=False) as connection:
            try:
                yield connection
            # Damaged content, which the file's own checks cannot see:
            except (zlib.error, ValueError, TypeError, LookupError) as error:
                raise FormatError(self._damaged(error)) from error

    def _damaged(self, why: object) -> str:
        return (
            f"results database '{self._name}' is damaged ({clean(str(why))}): "
            "move it away or restore a copy; it was left as it is"
        )

    def _explained(self, error: BaseException) -> BenchError:
        code = getattr(error, "sqlite_errorcode", -1) & 0xFF  # the primary code of an extended one
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return FormatError(self._damaged(error))
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return UsageError(
                f"results database '{self._name}' is locked by another program "
                f"(waited {BUSY_TIMEOUT_S:g} s): end that program or use another --store"
            )
        hint = "; check the disk and the permissions" if isinstance(error, sqlite3.OperationalError) else ""
        return UsageError(f"results database '{self._name}': {clean(str(error))}{hint}")


class RunWriter:
    """Writes the measurements of one run, a transaction each. run_id is None until the first is stored."""

    def __init__(self, store: Store, record: RunRecord) -> None:
        self._store = store
        self._record = record
        self.run_id: int | None = None

    def add(self, measurement: Measurement) -> int:
        """Stores a measurement with all its raw data, or nothing; returns the cell's id."""
        with self._store._transaction(writes=True) as connection:
            run_id = self.run_id or _insert(connection, RUNS, asdict(self._record))
            cell_id = _insert_cell(connection, run_id, measurement)
            for process in measurement.processes:
                row = {name: getattr(process, name) for name in _PROCESS_FIELDS}
                _insert(connection, PROCESSES, row | {"cell_id": cell_id, "ns": _blob(process.ns, "<i8")})
            for node in measurement.layers:
                row = {name: getattr(node, name) for name in _LAYER_FIELDS}
                _insert(connection, LAYERS, row | {"cell_id": cell_id, "ns": _blob(node.ns, "<i8")})
            if measurement.predictions is not None:
                _insert_predictions(connection, cell_id, measurement.dataset, measurement.predictions)
        self.run_id = run_id  # only once it is committed
        return cell_id


def _insert(connection: sa.Connection, table: sa.Table, row: dict) -> int:
    return connection.execute(table.insert().values(row)).inserted_primary_key[0]


def _insert_cell(connection: sa.Connection, run_id: int, measurement: Measurement) -> int:
    cell, info = measurement.cell, measurement.info
    query = sa.select(DEVICES.c.id).where(DEVICES.c.run_id == run_id, DEVICES.c.name == info.name)
    device_id = connection.scalar(query) or _insert(
        connection,
        DEVICES,
        {name: getattr(info, name) for name in ("name", "transport", *_DEVICE_FIELDS)} | {"run_id": run_id},
    )
    row = {name: getattr(cell, name) for name in _CELL_FIELDS}
    row |= {
        "run_id": run_id,
        "device_id": device_id,
        "latency_ms": asdict(cell.latency_ms) if cell.latency_ms else None,
        "facts_before": info.facts,
        "facts_after": measurement.after,
    }
    return _insert(connection, CELLS, row)


def _insert_predictions(
    connection: sa.Connection, cell_id: int, dataset: EvaluationSet, predictions: Predictions
) -> None:
    known = connection.scalar(sa.select(DATASETS.c.sha256).where(DATASETS.c.sha256 == dataset.sha256))
    if known is None:
        names = zlib.compress(json.dumps(dataset.ids).encode())
        row = {"sha256": dataset.sha256, "name": dataset.name, "ids": names}
        _insert(connection, DATASETS, row | {"labels": _blob(dataset.labels, "<i4")})
    row = {"cell_id": cell_id, "dataset_sha256": dataset.sha256, "k": predictions.classes.shape[1]}
    row |= {"classes": _blob(predictions.classes, "<i4"), "scores": _blob(predictions.scores, "<f4")}
    _insert(connection, PREDICTIONS, row)


def _cell(row: sa.RowMapping) -> Cell:
    values = {name: row[name] for name in (*_CELL_FIELDS, "device", *_DEVICE_FIELDS)}
    values |= {"reasons": tuple(row["reasons"]), "warnings": tuple(row["warnings"])}
    if latency := row["latency_ms"]:
        interval = latency["ci95"] and tuple(latency["ci95"])
        values["latency_ms"] = Latency(**latency | {"ci95": interval})
    return Cell(**values)


def _blob(values: np.ndarray, dtype: str) -> bytes:
    return zlib.compress(np.ascontiguousarray(values, dtype).tobytes())


def _inflate(blob: bytes) -> bytes:
    inflater = zlib.decompressobj()
    content = inflater.decompress(blob, MAX_BLOB_BYTES)
    if not inflater.eof:
        raise ValueError("an array is cut off or too large")
    return content


def _array(blob: bytes, dtype: str) -> np.ndarray:
    return np.frombuffer(_inflate(blob), dtype)


def _url(where: str | Path) -> sa.URL:
    if "://" in str(where):
        try:
            url = sa.make_url(str(where))
        except (sa.exc.ArgumentError, ValueError) as error:
            raise UsageError(
                f"results database '{where}': not a database URL: {clean(str(error))}"
            ) from error
        if not _is_sqlite(url):
            return url
        where = url.database or ""
    path = Path(where)
    if path.is_dir() or str(where) == "":
        raise UsageError(f"results database '{where}' must be a file or a database URL")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {path.parent}: {error.strerror}") from error
    return sa.URL.create("sqlite", database=str(path))


def _is_sqlite(url: sa.URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not guessed by the driver
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}")
    connection.execute("PRAGMA foreign_keys = ON")
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:  # this one statement does not wait for a lock by itself
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer takes its lock at once: one that reads first and writes later could not wait for another's.
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
