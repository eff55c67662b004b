"""The results database: what goes in comes out, whole or not at all, in SQLite and in PostgreSQL alike."""

import os
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from harness import database, rows, schema
from harness.errors import FormatError, UsageError
from harness.results import Measurement
from harness.store import Store, spool_path
from tests.support.measurements import (
    CELL,
    DATASET,
    INFO,
    RUN,
    another_run,
    contents,
    failed,
    measurement,
    node,
    process,
)

TABLES = ("runs", "devices", "datasets", "cells", "processes", "layers", "predictions")


def counts(store: Store) -> dict[str, int]:
    """Rows of each table that has any."""
    with store._database.transaction(writes=False) as connection:
        tables = [schema.METADATA.tables[name] for name in TABLES]
        found = {t.name: connection.scalar(sa.select(sa.func.count()).select_from(t)) for t in tables}
    return {name: count for name, count in found.items() if count}


def execute(store: Store, sql: str) -> None:
    with store._database.transaction(writes=True) as connection:
        connection.exec_driver_sql(sql)


def test_everything_comes_back(where):
    with Store.open(where) as opened:
        writer = opened.new_run(RUN)
        cell_id = writer.add(measurement())
        run_id = writer.run_id
    with Store.open(where) as again:
        assert again.runs() == {run_id: RUN}
        assert again.cells(run_id) == {cell_id: CELL}
        assert again.history("pi4", "tiny", "int8") == [(run_id, cell_id, CELL)]
        assert again.facts(cell_id) == (INFO.facts, {"governor": "powersave"})
        first, second = again.processes(cell_id)
        np.testing.assert_array_equal(second.ns, process(1).ns)
        assert replace(first, ns=None) == replace(process(0), ns=None)
        assert again.layers(cell_id) == [node(0), node(1)]
        dataset, predictions = again.predictions(cell_id)
        assert (dataset.name, dataset.sha256, dataset.ids) == (DATASET.name, DATASET.sha256, DATASET.ids)
        assert predictions.correct(dataset.labels, 1).tolist() == [True, False]
        assert contents(again.measurement(cell_id)) == contents(measurement())


def test_a_failed_cell_without_data(where):
    with Store.open(where) as opened:
        writer = opened.new_run(RUN)
        cell_id = writer.add(failed())
        assert opened.cells(writer.run_id) == {cell_id: failed().cell}
        assert opened.processes(cell_id) == opened.layers(cell_id) == []
        assert opened.predictions(cell_id) is None
        assert contents(opened.measurement(cell_id)) == contents(failed())


def test_one_process_has_no_interval(where):
    cell = replace(CELL, latency_ms=replace(CELL.latency_ms, ci95=None))
    with Store.open(where) as opened:
        writer = opened.new_run(RUN)
        cell_id = writer.add(Measurement(cell, INFO))
        assert opened.cells(writer.run_id)[cell_id].latency_ms.ci95 is None


def test_cells_share_their_run_device_and_dataset(where):
    with Store.open(where) as opened:
        for models in (("a", "b"), ("c",)):
            writer = opened.new_run(another_run())
            for model in models:
                writer.add(measurement(model))
        assert [[c.model for c in opened.cells(run).values()] for run in opened.runs()] == [["a", "b"], ["c"]]
        shared = {"runs": 2, "devices": 2, "datasets": 1}
        assert counts(opened) == shared | {"cells": 3, "processes": 6, "layers": 6, "predictions": 3}


def test_runs_are_ordered_by_their_time_not_by_when_they_were_stored(where):
    with Store.open(where) as opened:
        for started in ("2026-03-01", "2026-01-01", "2026-02-01"):
            opened.new_run(replace(another_run(), started=started)).add(measurement())
        assert [run.started for run in opened.runs().values()] == ["2026-01-01", "2026-02-01", "2026-03-01"]
        assert [run_id for run_id, _, _ in opened.history("pi4", "tiny", "int8")] == list(opened.runs())


def test_a_run_that_measured_nothing_leaves_nothing(where):
    with Store.open(where) as opened:
        assert opened.new_run(RUN).run_id is None
        assert counts(opened) == {}


def test_a_measurement_that_cannot_be_stored_leaves_nothing(where):
    broken = replace(measurement(), processes=[process(0), replace(process(1), isa=None)])
    with Store.open(where) as opened:
        writer = opened.new_run(RUN)
        with pytest.raises(UsageError, match="(?i)not.null"):
            writer.add(broken)
        assert counts(opened) == {}
        writer.add(measurement())
        assert counts(opened)["cells"] == 1


def test_the_same_cell_twice_is_refused(where):
    with Store.open(where) as opened:
        writer = opened.new_run(RUN)
        writer.add(measurement())
        with pytest.raises(UsageError, match="pi4: tiny: int8 was stored in this run already"):
            writer.add(measurement())
        assert counts(opened)["cells"] == 1


def test_the_same_dataset_hash_with_other_labels_is_refused(where):
    other = replace(measurement("other"), dataset=replace(DATASET, labels=np.array([0, 0], np.int32)))
    with Store.open(where) as opened:
        opened.merge([(RUN, measurement())])
        with pytest.raises(FormatError, match="same hash but other labels"):
            opened.merge([(RUN, other)])
        assert counts(opened)["cells"] == 1


def test_merging_is_all_or_nothing_and_knows_what_is_there(where):
    def broken():
        yield RUN, measurement("one")
        raise FormatError("line 2 is damaged")

    with Store.open(where) as opened:
        with pytest.raises(FormatError, match="line 2"):
            opened.merge(broken())
        assert counts(opened) == {}
        both = [(RUN, measurement("one")), (RUN, measurement("two"))]
        assert opened.merge(both[:1]) == (1, 0)
        assert opened.merge(both) == (1, 1)
        assert opened.merge(both) == (0, 2)
        assert counts(opened)["cells"] == 2


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE processes SET ns = substr(ns, 1, 10)",
        "UPDATE layers SET ns = substr(ns, 1, 10)",
        "UPDATE predictions SET k = 3",
        "UPDATE datasets SET ids = labels",
        "UPDATE cells SET reasons = '1'",
        "UPDATE cells SET latency_ms = '{\"median\": 1}'",
    ],
)
def test_damaged_content_is_refused_when_read(where, change):
    with Store.open(where) as opened:
        cell_id = opened.new_run(RUN).add(measurement())
        execute(opened, change)
        with pytest.raises(FormatError, match="is damaged"):
            opened.measurement(cell_id)


def test_a_compression_bomb_is_refused(where, monkeypatch):
    monkeypatch.setattr(rows, "MAX_BLOB_BYTES", 10)
    with Store.open(where) as opened:
        cell_id = opened.new_run(RUN).add(measurement())
        with pytest.raises(FormatError, match="too large"):
            opened.processes(cell_id)


# --- a database that cannot take a measurement now ---


def test_what_cannot_be_stored_waits_and_is_stored_later_once(where, monkeypatch, fresh_cache):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.2)
    notes = []
    with Store.open(where, notes.append) as opened, Store.open(where) as other:
        writer = opened.new_run(RUN)
        assert writer.add(measurement("one")) is not None
        with other._database.transaction(writes=True) as holder:
            if holder.dialect.name == "postgresql":
                holder.exec_driver_sql("LOCK TABLE cells")
            assert writer.add(measurement("two")) is None
            assert writer.add(measurement("three")) is None
        assert "is locked by another program (waited 0.2 s)" in notes[0]
        assert f"waits in {spool_path(where)}" in notes[1]
        assert len(notes) == 2
        writer.add(measurement("four"))
    with Store.open(where, notes.append) as opened:
        assert notes[2:] == [f"stored 2 measurements that waited in {spool_path(where)}"]
        assert [c.model for c in opened.cells(writer.run_id).values()] == ["one", "four", "two", "three"]
        stored = opened.measurement(list(opened.cells(writer.run_id))[2])
        assert contents(stored) == contents(measurement("two"))
    assert not spool_path(where).exists()
    with Store.open(where, notes.append) as opened:
        assert counts(opened)["cells"] == 4
    assert len(notes) == 3


def test_a_server_that_goes_away_loses_nothing(postgres, fresh_cache):
    where = postgres.new_database()
    notes = []
    with Store.open(where, notes.append) as opened:
        writer = opened.new_run(RUN)
        writer.add(measurement("one"))
        name = where.rpartition("/")[2]
        postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        assert writer.add(measurement("two")) is None
        postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert "check the URL, and that the server runs. The measurement waits in" in notes[0]
    with Store.open(where, notes.append) as opened:
        assert counts(opened)["cells"] == 2


def test_a_database_damaged_while_measuring_keeps_the_measurement(tmp_path):
    path = tmp_path / "results.db"
    notes = []
    with Store.open(path, notes.append) as opened:
        writer = opened.new_run(RUN)
        for n in range(20):
            writer.add(measurement(f"model{n}"))
    content = path.read_bytes()
    with Store.open(path, notes.append) as opened:
        writer = opened.new_run(another_run())
        opened.close()  # which empties SQLite's cache; the next statement connects again
        path.write_bytes(content[:4096] + os.urandom(len(content) - 4096))
        assert writer.add(measurement("last")) is None
        assert "is damaged" in notes[0]
    path.rename(tmp_path / "moved away")
    with Store.open(path, notes.append) as opened:
        assert "stored 1 measurements" in notes[-1]
        assert [c.model for c in opened.cells(1).values()] == ["last"]


def test_a_full_disk_keeps_the_measurement(tmp_path):
    notes = []
    with Store.open(tmp_path / "results.db", notes.append) as opened:
        writer = opened.new_run(RUN)
        writer.add(measurement("one"))
        execute(opened, "PRAGMA max_page_count = 1")  # SQLite takes the number of pages there are
        added = [writer.add(measurement(f"model{n}")) for n in range(100)]
        assert None in added
        assert "is full; check the disk" in notes[0]
    with Store.open(tmp_path / "results.db", notes.append) as opened:
        assert counts(opened)["cells"] == 101
        assert "measurements that waited" in notes[-1]


def test_a_reader_waits_for_no_writer(where):
    with Store.open(where) as opened, opened._database.transaction(writes=True) as connection:
        rows.insert(connection, RUN, measurement())
        with Store.open(where) as reader:
            assert reader.runs() == {}


def test_default_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Store.open().close()
    assert (tmp_path / "results" / "quantbench.db").is_file()
