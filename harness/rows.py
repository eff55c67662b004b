"""Measurements as rows of the results database, and back; the tables are in harness/schema.py.

A column has the name of the field that it holds. Every function works inside the caller's transaction.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict, fields

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from devices import DeviceInfo
from harness.errors import FormatError
from harness.results import Cell, EvaluationSet, Latency, LatencySample, Measurement, Predictions, RunRecord
from harness.runner_events import NodeTime
from harness.schema import CELLS, DATASETS, DEVICES, LAYERS, PREDICTIONS, PROCESSES, RUNS

MAX_BLOB_BYTES = 1 << 30

_DEVICE_FIELDS = ("arch", "cpu", "emulated")  # of a cell, kept in `devices`
_CELL_FIELDS = [f.name for f in fields(Cell) if f.name not in ("device", "latency_ms", *_DEVICE_FIELDS)]
_LAYER_FIELDS = [f.name for f in fields(NodeTime) if f.name != "ns"]
_PROCESS_FIELDS = [f.name for f in fields(LatencySample) if f.name != "ns"]


def insert(connection: sa.Connection, record: RunRecord, measurement: Measurement) -> int | None:
    """Stores a measurement and, where they are new, its run, device and dataset; returns the cell's id.

    None where the run has this cell already: then nothing is changed.
    """
    cell, info = measurement.cell, measurement.info
    run_id = _find_or_insert(connection, RUNS, asdict(record), "uuid")
    device = {name: getattr(info, name) for name in ("name", "transport", *_DEVICE_FIELDS)}
    device_id = _find_or_insert(connection, DEVICES, device | {"run_id": run_id}, "run_id", "name")
    row = {name: getattr(cell, name) for name in _CELL_FIELDS}
    row |= {
        "run_id": run_id,
        "device_id": device_id,
        "latency_ms": asdict(cell.latency_ms) if cell.latency_ms else None,
        "facts_before": info.facts,
        "facts_after": measurement.after,
    }
    cell_id = _insert_new(connection, CELLS, row)
    if cell_id is None:
        return None
    _insert_samples(connection, PROCESSES, cell_id, _PROCESS_FIELDS, measurement.processes)
    _insert_samples(connection, LAYERS, cell_id, _LAYER_FIELDS, measurement.layers)
    if measurement.predictions is not None:
        _insert_dataset(connection, measurement.dataset)
        _insert_predictions(connection, cell_id, measurement.dataset.sha256, measurement.predictions)
    return cell_id


def _insert_new(connection: sa.Connection, table: sa.Table, row: dict) -> int | str | None:
    """Inserts a row; its primary key, or None where a row with such a unique key is there already."""
    insert_into = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[connection.dialect.name]
    (key,) = table.primary_key.columns
    return connection.scalar(insert_into(table).values(row).on_conflict_do_nothing().returning(key))


def _find_or_insert(connection: sa.Connection, table: sa.Table, row: dict, *unique: str) -> int:
    query = sa.select(table.c.id).where(*(table.c[name] == row[name] for name in unique))
    # Looked for again at the end: another program may have inserted it in between.
    return (
        connection.scalar(query)
        or _insert_new(connection, table, row)
        or connection.execute(query).scalar_one()
    )


def _insert_samples(
    connection: sa.Connection, table: sa.Table, cell_id: int, names: list[str], samples: list
) -> None:
    rows = [
        {name: getattr(sample, name) for name in names} | {"cell_id": cell_id, "ns": _blob(sample.ns, "<i8")}
        for sample in samples
    ]
    if rows:
        connection.execute(table.insert(), rows)


def _insert_dataset(connection: sa.Connection, dataset: EvaluationSet) -> None:
    names = zlib.compress(json.dumps(dataset.ids).encode())
    row = {"sha256": dataset.sha256, "name": dataset.name, "ids": names}
    if _insert_new(connection, DATASETS, row | {"labels": _blob(dataset.labels, "<i4")}) is not None:
        return
    query = sa.select(DATASETS.c.labels).where(DATASETS.c.sha256 == dataset.sha256)
    if not np.array_equal(_array(connection.scalar(query), "<i4"), dataset.labels):
        raise FormatError(f"data set '{dataset.name}' is stored already, with the same hash but other labels")


def _insert_predictions(
    connection: sa.Connection, cell_id: int, dataset_sha256: str, predictions: Predictions
) -> None:
    row = {"cell_id": cell_id, "dataset_sha256": dataset_sha256, "k": predictions.classes.shape[1]}
    row |= {"classes": _blob(predictions.classes, "<i4"), "scores": _blob(predictions.scores, "<f4")}
    connection.execute(PREDICTIONS.insert().values(row))


def runs(connection: sa.Connection) -> dict[int, RunRecord]:
    """Every run by its id, oldest first."""
    rows = connection.execute(RUNS.select().order_by(RUNS.c.started, RUNS.c.id)).mappings().all()
    return {row["id"]: RunRecord(**{name: row[name] for name in row if name != "id"}) for row in rows}


def cells(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> Iterator[tuple[int, int, Cell]]:
    """Run id, cell id and cell of those that meet the conditions on CELLS and DEVICES; oldest run first."""
    query = (
        sa.select(CELLS, DEVICES.c.name.label("device"), *(DEVICES.c[f] for f in _DEVICE_FIELDS))
        .join(DEVICES, CELLS.c.device_id == DEVICES.c.id)
        .join(RUNS, CELLS.c.run_id == RUNS.c.id)
        .where(*conditions)
        .order_by(RUNS.c.started, CELLS.c.id)
    )
    for row in connection.execute(query).mappings():
        yield row["run_id"], row["id"], _cell(row)


def _cell(row: sa.RowMapping) -> Cell:
    values = {name: row[name] for name in (*_CELL_FIELDS, "device", *_DEVICE_FIELDS)}
    values |= {"reasons": tuple(row["reasons"]), "warnings": tuple(row["warnings"])}
    if latency := row["latency_ms"]:
        interval = latency["ci95"] and tuple(latency["ci95"])
        values["latency_ms"] = Latency(**latency | {"ci95": interval})
    return Cell(**values)


def facts(connection: sa.Connection, cell_id: int) -> tuple[dict[str, str], dict[str, str]]:
    """The device's facts before and after the trial of a cell."""
    query = sa.select(CELLS.c.facts_before, CELLS.c.facts_after).where(CELLS.c.id == cell_id)
    return tuple(connection.execute(query).one())


def processes(connection: sa.Connection, cell_id: int) -> list[LatencySample]:
    """The raw latency samples of a cell."""
    query = PROCESSES.select().where(PROCESSES.c.cell_id == cell_id).order_by(PROCESSES.c.id)
    return [
        LatencySample(ns=_array(row["ns"], "<i8"), **{name: row[name] for name in _PROCESS_FIELDS})
        for row in connection.execute(query).mappings()
    ]


def layers(connection: sa.Connection, cell_id: int) -> list[NodeTime]:
    """The profile of a cell, in execution order."""
    query = LAYERS.select().where(LAYERS.c.cell_id == cell_id).order_by(LAYERS.c.index)
    return [
        NodeTime(ns=tuple(_array(row["ns"], "<i8").tolist()), **{name: row[name] for name in _LAYER_FIELDS})
        for row in connection.execute(query).mappings()
    ]


def predictions(connection: sa.Connection, cell_id: int) -> tuple[EvaluationSet, Predictions] | None:
    """Top-k of every sample of a cell, and the samples' names and labels; None where none were made."""
    query = (
        sa.select(PREDICTIONS, DATASETS)
        .join(DATASETS, PREDICTIONS.c.dataset_sha256 == DATASETS.c.sha256)
        .where(PREDICTIONS.c.cell_id == cell_id)
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    ids = tuple(json.loads(_inflate(row["ids"])))
    dataset = EvaluationSet(row["name"], row["sha256"], ids, _array(row["labels"], "<i4"))
    shape = (len(ids), row["k"])
    classes, scores = _array(row["classes"], "<i4"), _array(row["scores"], "<f4")
    return dataset, Predictions(classes.reshape(shape), scores.reshape(shape))


def measurement(connection: sa.Connection, cell_id: int) -> Measurement:
    """A cell with all its raw data, as it was given to `insert`."""
    ((_, _, cell),) = cells(connection, CELLS.c.id == cell_id)
    query = sa.select(DEVICES.c.transport).join(CELLS, CELLS.c.device_id == DEVICES.c.id)
    transport = connection.execute(query.where(CELLS.c.id == cell_id)).scalar_one()
    before, after = facts(connection, cell_id)
    dataset, predicted = predictions(connection, cell_id) or (None, None)
    return Measurement(
        cell,
        DeviceInfo(cell.device, transport, cell.arch, cell.cpu, cell.emulated, before),
        processes(connection, cell_id),
        dataset,
        predicted,
        after,
        layers(connection, cell_id),
    )


def _blob(values: object, dtype: str) -> bytes:
    return zlib.compress(np.ascontiguousarray(values, dtype).tobytes())


def _inflate(blob: bytes) -> bytes:
    inflater = zlib.decompressobj()
    content = inflater.decompress(blob, MAX_BLOB_BYTES)
    if not inflater.eof:
        raise ValueError("an array is cut off or too large")
    return content


def _array(blob: bytes, dtype: str) -> np.ndarray:
    return np.frombuffer(_inflate(blob), dtype)
