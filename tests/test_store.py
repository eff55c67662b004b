"""The results database: what goes in comes out, whole or not at all; damage is refused and left alone."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from devices import DeviceInfo
from harness import database, rows, schema
from harness.errors import FormatError, UsageError
from harness.results import Cell, EvaluationSet, Latency, LatencySample, Measurement, Predictions, RunRecord
from harness.runner_events import NodeTime
from harness.store import Store

RUN = RunRecord(
    "2026-01-02T03:04:05+00:00", "0.1.0", "cd" * 32, {"trial": "quick"}, {"python": "3.11"}, "v1.0"
)
INFO = DeviceInfo("pi4", "ssh", "aarch64", "cortex-a72", False, {"governor": "performance", "boot_id": "x"})
CELL = Cell(
    device="pi4", arch="aarch64", cpu="cortex-a72", emulated=False, core=3, model="tiny", variant="int8",
    arithmetic="int8-ptq", verdict="invalid", reasons=("one", "two"), warnings=("three",),
    latency_ms=Latency(1.5, None, 1.25, 0.1, 7, (1.4, 1.6), 3.0), instructions=2**40, top1=0.5, top5=None,
    samples=2, dataset_sha256="ab" * 32, size_bytes=1000, size_compressed_bytes=900,
    peak_memory_bytes=2**33, energy_mj=None, model_sha256="ef" * 32,
)  # fmt: skip
DATASET = EvaluationSet("pets", "ab" * 32, ("a.png", "größe\n.png"), np.array([1, 0], np.int32))


def another_run() -> RunRecord:
    return replace(RUN, uuid=uuid.uuid4().hex)


def node(index: int) -> NodeTime:
    return NodeTime(index, f"conv{index}", "CONV_2D", "int8", "neon", 2**40, 2**33, (2**41, 5 + index))


def process(turn: int) -> LatencySample:
    ns = np.arange(1, 8) * 2**40 + turn
    return LatencySample(turn, ns, 9, 8, 3, 3, "neon", 100, 5000, 0, 1, 0.5)


def measurement(model: str = "tiny") -> Measurement:
    predictions = Predictions(
        np.array([[1, 2], [3, 0]], np.int32), np.array([[0.9, 0.1], [0.5, 0.25]], np.float32)
    )
    cell = replace(CELL, model=model)
    return Measurement(
        cell, INFO, [process(0), process(1)], DATASET, predictions, {"governor": "powersave"},
        [node(0), node(1)],
    )  # fmt: skip


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "new" / "results.db"


def count(path: Path, table: str) -> int:
    with sqlite3.connect(path) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_everything_comes_back(path):
    with Store.open(path) as opened:
        writer = opened.new_run(RUN)
        cell_id = writer.add(measurement())
        run_id = writer.run_id
    with Store.open(f"sqlite:///{path}") as again:
        assert again.runs() == {run_id: RUN}
        assert again.cells(run_id) == {cell_id: CELL}
        assert again.facts(cell_id) == (INFO.facts, {"governor": "powersave"})
        first, second = again.processes(cell_id)
        np.testing.assert_array_equal(second.ns, process(1).ns)
        assert replace(first, ns=None) == replace(process(0), ns=None)
        assert again.layers(cell_id) == [node(0), node(1)]
        dataset, predictions = again.predictions(cell_id)
        assert (dataset.name, dataset.sha256, dataset.ids) == (DATASET.name, DATASET.sha256, DATASET.ids)
        np.testing.assert_array_equal(dataset.labels, DATASET.labels)
        np.testing.assert_array_equal(predictions.classes, measurement().predictions.classes)
        np.testing.assert_array_equal(predictions.scores, measurement().predictions.scores)
        assert predictions.correct(dataset.labels, 1).tolist() == [True, False]


def test_a_failed_cell_without_data(path):
    cell = replace(
        CELL, verdict="failed", latency_ms=None, top1=None, samples=None, dataset_sha256=None, core=None
    )
    with Store.open(path) as opened:
        writer = opened.new_run(RUN)
        cell_id = writer.add(Measurement(cell, INFO))
        assert opened.cells(writer.run_id) == {cell_id: cell}
        assert opened.processes(cell_id) == []
        assert opened.predictions(cell_id) is None


def test_one_process_has_no_interval(path):
    cell = replace(CELL, latency_ms=replace(CELL.latency_ms, ci95=None))
    with Store.open(path) as opened:
        writer = opened.new_run(RUN)
        cell_id = writer.add(Measurement(cell, INFO))
        assert opened.cells(writer.run_id)[cell_id].latency_ms.ci95 is None


def test_cells_share_their_run_device_and_dataset(path):
    with Store.open(path) as opened:
        for models in (("a", "b"), ("c",)):
            writer = opened.new_run(another_run())
            for model in models:
                writer.add(measurement(model))
        assert [[c.model for c in opened.cells(run).values()] for run in opened.runs()] == [["a", "b"], ["c"]]
    assert [count(path, t) for t in ("runs", "devices", "datasets", "cells", "processes")] == [2, 2, 1, 3, 6]


def test_a_run_that_measured_nothing_leaves_nothing(path):
    with Store.open(path) as opened:
        opened.new_run(RUN)
    assert count(path, "runs") == 0


def test_a_measurement_that_cannot_be_stored_leaves_nothing(path):
    broken = replace(measurement(), processes=[process(0), replace(process(1), isa=None)])
    with Store.open(path) as opened:
        writer = opened.new_run(RUN)
        with pytest.raises(UsageError, match="NOT NULL"):
            writer.add(broken)
        assert [count(path, t) for t in ("runs", "devices", "cells", "processes", "predictions")] == [0] * 5
        writer.add(measurement())
    assert [count(path, t) for t in ("runs", "cells")] == [1, 1]


def test_the_same_cell_twice_is_refused(path):
    with Store.open(path) as opened:
        writer = opened.new_run(RUN)
        writer.add(measurement())
        with pytest.raises(UsageError, match="tiny: int8 was stored in this run already"):
            writer.add(measurement())
        assert len(opened.cells(writer.run_id)) == 1


def test_write_ahead_log_and_foreign_keys(path):
    with Store.open(path) as opened, opened._database.transaction(writes=True) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        with pytest.raises(sa.exc.IntegrityError, match="FOREIGN KEY"):
            connection.execute(schema.PREDICTIONS.insert().values(
                cell_id=99, dataset_sha256="none", k=1, classes=b"", scores=b""))  # fmt: skip


def test_default_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Store.open().close()
    assert (tmp_path / "results" / "quantbench.db").is_file()


# --- what cannot be opened ---


def refusal(kind: type, where: object) -> str:
    with pytest.raises(kind) as caught:
        Store.open(where).close()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("content", [b"not a database " * 400, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "bad.db"
    path.write_bytes(content)
    assert f"'{path}' is damaged" in refusal(FormatError, path)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["bad.db"]


def test_overwritten_pages_are_found(path):
    with Store.open(path) as opened:
        writer = opened.new_run(RUN)
        for n in range(20):
            writer.add(measurement(f"model{n}"))
    content = bytearray(path.read_bytes())
    content[8192:-4096] = os.urandom(len(content) - 12288)
    path.write_bytes(content)
    assert "is damaged" in refusal(FormatError, path)
    assert path.read_bytes() == content


def read_all(opened: Store, run_id: int, cell_id: int) -> None:
    opened.cells(run_id)
    opened.processes(cell_id)
    opened.predictions(cell_id)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE processes SET ns = x'00'",
        "UPDATE processes SET ns = substr(ns, 1, 10)",
        "UPDATE predictions SET k = 3",
        "UPDATE datasets SET ids = x'789c030000000001'",
        "UPDATE cells SET reasons = '['",
        "UPDATE cells SET latency_ms = '{\"median\": 1}'",
    ],
)
def test_damaged_content_is_refused_when_read(path, change):
    with Store.open(path) as opened:
        writer = opened.new_run(RUN)
        cell_id = writer.add(measurement())
    with sqlite3.connect(path) as connection:
        connection.execute(change)
    with Store.open(path) as opened, pytest.raises(FormatError, match="is damaged"):
        read_all(opened, writer.run_id, cell_id)


def test_a_compression_bomb_is_refused(path, monkeypatch):
    monkeypatch.setattr(rows, "MAX_BLOB_BYTES", 10)
    with Store.open(path) as opened:
        cell_id = opened.new_run(RUN).add(measurement())
        with pytest.raises(FormatError, match="too large"):
            opened.processes(cell_id)


def test_another_programs_database_is_refused(tmp_path):
    path = tmp_path / "photos.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE photos (id)")
    assert "not a quantbench results database" in refusal(FormatError, path)


def test_a_newer_database_is_refused(path):
    Store.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    assert "schema version 99" in refusal(FormatError, path)


def test_an_empty_file_is_a_new_database(tmp_path):
    path = tmp_path / "empty.db"
    path.touch()
    Store.open(path).close()
    assert count(path, "cells") == 0


def test_impossible_places(tmp_path):
    (tmp_path / "file").touch()
    assert "must be a file" in refusal(UsageError, tmp_path)
    assert "must be a file" in refusal(UsageError, "sqlite://")
    assert "cannot make the folder" in refusal(UsageError, tmp_path / "file" / "results.db")
    refusal(UsageError, "nonsense://somewhere")


def test_a_locked_database_is_waited_for_and_then_named(path, monkeypatch):
    Store.open(path).close()
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.3)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    assert "is locked by another program (waited 0.3 s)" in refusal(UsageError, path)
    assert 0.25 < time.monotonic() - began < 5
    holder.close()
    Store.open(path).close()


def test_a_reader_does_not_wait_for_a_writer(path):
    with Store.open(path) as opened:
        writer = opened.new_run(RUN)
        writer.add(measurement())
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        assert len(opened.cells(writer.run_id)) == 1
        holder.close()


def test_two_writers_lose_nothing(path):
    def write(name: str) -> None:
        with Store.open(path) as opened:
            writer = opened.new_run(another_run())
            for n in range(10):
                writer.add(measurement(f"{name}{n}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, "abcd"))
    assert count(path, "cells") == 40
    assert count(path, "runs") == 4


# --- migrations ---

VERSION_1 = Path(__file__).parent / "golden" / "results_v1.db"  # written by the program of that version


def shape(path: Path) -> dict:
    """Every table's columns and indexes, as the database has them."""
    inspector = sa.inspect(sa.create_engine(f"sqlite:///{path}"))
    return {
        table: (
            {
                column["name"]: (str(column["type"]), column["nullable"])
                for column in inspector.get_columns(table)
            },
            inspector.get_pk_constraint(table)["constrained_columns"],
            sorted((index["name"], *index["column_names"]) for index in inspector.get_indexes(table)),
        )
        for table in inspector.get_table_names()
    }


def test_a_database_of_version_1_is_lifted(path):
    path.parent.mkdir()
    path.write_bytes(VERSION_1.read_bytes())
    with Store.open(path) as opened:
        first, second = opened.runs().values()
        assert first.uuid
        assert first.uuid != second.uuid
        assert (first.release, first.settings) == (None, RUN.settings)
        cell_id, broken_id = opened.cells(1)
        assert opened.cells(1)[cell_id] == CELL
        assert opened.cells(1)[broken_id].verdict == "failed"
        np.testing.assert_array_equal(opened.processes(cell_id)[1].ns, process(1).ns)
        assert opened.layers(cell_id) == []
        assert opened.predictions(cell_id)[0].ids == DATASET.ids
        opened.new_run(another_run()).add(measurement())
    copy = path.with_name("copy.db")
    copy.write_bytes(VERSION_1.read_bytes())
    with Store.open(copy) as opened:
        assert list(opened.runs().values()) == [first, second]


def test_a_lifted_database_has_the_shape_of_a_new_one(path):
    path.parent.mkdir()
    path.write_bytes(VERSION_1.read_bytes())
    Store.open(path).close()
    fresh = path.with_name("fresh.db")
    Store.open(fresh).close()
    assert shape(path) == shape(fresh)


def test_an_older_database_is_lifted_once(path, monkeypatch):
    Store.open(path).close()
    calls = []
    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, lambda connection: calls.append(1)])
    for _ in range(2):
        Store.open(path).close()
    assert calls == [1]


def test_a_failed_migration_changes_nothing(path, monkeypatch):
    path.parent.mkdir()
    path.write_bytes(VERSION_1.read_bytes())
    before = shape(path)

    def fails_midway(connection: sa.Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN colour TEXT")
        connection.exec_driver_sql("ALTER TABLE nothing ADD COLUMN colour TEXT")

    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, fails_midway])
    refusal(UsageError, path)
    assert shape(path) == before


# --- a controller that is killed ---

WRITER = """
    import sys
    from harness.store import Store
    from tests.test_store import RUN, measurement
    writer = Store.open(sys.argv[1]).new_run(RUN)
    for n in range(100_000):
        writer.add(measurement(f"model{n}"))
        print(n, flush=True)
"""


@pytest.mark.parametrize("after", [1, 7, 20])
def test_a_killed_controller_loses_no_committed_cell(path, after):
    killed = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path)], stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    for line in killed.stdout:
        if int(line) == after:
            killed.send_signal(signal.SIGKILL)
            break
    committed = max([after, *map(int, killed.stdout.read().split())])
    killed.wait()
    with Store.open(path) as opened:
        (run_id,) = opened.runs()
        cells = opened.cells(run_id)
        # One more may have been committed between its transaction and its print.
        assert len(cells) - 1 in (committed, committed + 1)
        assert all(len(opened.processes(cell_id)) == 2 for cell_id in cells)
        assert all(opened.predictions(cell_id) is not None for cell_id in cells)
