"""Migrations: an older database is lifted to what a new one would be, once, and whole."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from harness import schema
from harness.database import Database, parse_url
from harness.errors import UsageError
from harness.store import Store
from tests.support.measurements import CELL, DATASET, RUN, another_run, contents, failed, measurement

VERSION_1 = Path(__file__).parent / "golden" / "results_v1.db"  # written by the program of that version


def shape(where: str | Path) -> dict:
    """Every table's columns, keys and indexes, as the database has them."""
    engine = sa.create_engine(parse_url(where))
    inspector = sa.inspect(engine)
    found = {}
    for table in inspector.get_table_names():
        columns = [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)]
        foreign = [
            (k["referred_table"], *k["constrained_columns"]) for k in inspector.get_foreign_keys(table)
        ]
        indexes = [(index["name"], *index["column_names"]) for index in inspector.get_indexes(table)]
        primary = inspector.get_pk_constraint(table)["constrained_columns"]
        found[table] = (sorted(columns), primary, sorted(foreign), sorted(indexes))
    engine.dispose()
    return found


@pytest.fixture
def old(tmp_path) -> Path:
    path = tmp_path / "old.db"
    path.write_bytes(VERSION_1.read_bytes())
    return path


def test_a_database_of_version_1_is_lifted_with_all_it_holds(old):
    with Store.open(old) as opened:
        first, second = opened.runs().values()
        assert (first.release, first.settings) == (None, RUN.settings)
        cell_id, failed_id = opened.cells(1)
        assert opened.cells(1)[cell_id] == CELL
        assert contents(opened.measurement(failed_id)) == contents(failed())
        expected = contents(measurement()) | {"layers": []}
        assert contents(opened.measurement(cell_id)) == expected
        assert opened.predictions(cell_id)[0].ids == DATASET.ids
        assert opened.new_run(another_run()).add(measurement()) is not None


def test_runs_of_version_1_have_the_same_identity_in_every_copy(old):
    copy = old.with_name("copy.db")
    copy.write_bytes(VERSION_1.read_bytes())
    with Store.open(old) as one, Store.open(copy) as other:
        assert one.runs() == other.runs()
        assert len({run.uuid for run in one.runs().values()} - {""}) == 2


def test_a_lifted_database_has_the_shape_of_a_new_one(old, tmp_path):
    Database.open(old).close()
    Database.open(tmp_path / "new.db").close()
    assert shape(old) == shape(tmp_path / "new.db")


def test_the_anomalies_of_older_cells_are_counted_from_their_labels(where):
    with Store.open(where) as opened:
        opened.new_run(RUN).add(dataclasses.replace(measurement(), cell=dataclasses.replace(CELL, auc=0.5)))
    opened = Database.open(where)
    with opened.transaction(writes=True) as connection:  # back to what version 6 made
        connection.exec_driver_sql("ALTER TABLE cells DROP COLUMN positives")
        connection.exec_driver_sql("UPDATE schema_version SET version = 6")
    opened.close()
    with Store.open(where) as lifted:
        (cell,) = lifted.cells(1).values()
        assert cell.positives == np.sum(DATASET.labels == 1) == 1


def test_a_database_of_version_1_on_a_server(postgres):
    where = postgres.new_database()
    with Store.open(where) as opened:
        opened.new_run(RUN).add(measurement())
    new = shape(where)
    opened = Database.open(where)
    with opened.transaction(writes=True) as connection:  # back to what version 1 made
        for statement in (
            "DROP TABLE layers",
            "DROP INDEX ix_cells_model_variant",
            "ALTER TABLE runs DROP COLUMN uuid, DROP COLUMN release",
            "ALTER TABLE cells DROP COLUMN planned_memory_bytes, DROP COLUMN ota_delta_bytes, "
            "DROP COLUMN load_ms, DROP COLUMN auc, DROP COLUMN positives",
            "UPDATE schema_version SET version = 1",
        ):
            connection.exec_driver_sql(statement)
    opened.close()
    with Store.open(where) as lifted:
        (run,) = lifted.runs().values()
        assert run.uuid
        assert list(lifted.cells(1).values()) == [CELL]
    assert shape(where) == new


def test_a_migration_runs_once(where, monkeypatch):
    Database.open(where).close()
    calls = []
    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, lambda connection: calls.append(1)])
    for _ in range(2):
        Database.open(where).close()
    assert calls == [1]


def test_a_failed_migration_changes_nothing(where, monkeypatch):
    Database.open(where).close()
    before = shape(where)

    def fails_midway(connection: sa.Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN colour TEXT")
        connection.exec_driver_sql("ALTER TABLE nothing ADD COLUMN colour TEXT")

    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, fails_midway])
    with pytest.raises(UsageError, match="nothing"):
        Database.open(where)
    assert shape(where) == before
