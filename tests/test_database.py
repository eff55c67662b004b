"""Opening a results database: damage is refused and left alone, locks are waited for and then named."""

import os
import sqlite3
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from harness import database, schema
from harness.database import Database, Unavailable, parse_url, shown_name
from harness.errors import FormatError, UsageError
from harness.store import Store
from tests.support.measurements import RUN, measurement


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "new" / "results.db"


def refusal(kind: type, where: object) -> str:
    with pytest.raises(kind) as caught:
        Database.open(where).close()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def fill(path: Path) -> None:
    with Store.open(path) as opened:
        writer = opened.new_run(RUN)
        for n in range(20):
            writer.add(measurement(f"model{n}"))


def test_write_ahead_log_and_foreign_keys(path):
    opened = Database.open(path)
    with opened.transaction(writes=True) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        row = {"cell_id": 99, "dataset_sha256": "none", "k": 1, "classes": b"", "scores": b""}
        with pytest.raises(sa.exc.IntegrityError, match="FOREIGN KEY"):
            connection.execute(schema.PREDICTIONS.insert().values(row))
    opened.close()


@pytest.mark.parametrize("content", [b"not a database " * 400, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "bad.db"
    path.write_bytes(content)
    assert f"'{path}' is damaged" in refusal(FormatError, path)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["bad.db"]


def test_overwritten_pages_are_found(path):
    fill(path)
    content = bytearray(path.read_bytes())
    content[8192:-4096] = os.urandom(len(content) - 12288)
    path.write_bytes(content)
    assert "is damaged" in refusal(FormatError, path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_that_is_cut_off_is_found(path, share):
    fill(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refusal(FormatError, path)
    assert len(path.read_bytes()) == int(share * len(content))


def test_another_programs_database_is_refused(where):
    if "://" in where:
        engine = sa.create_engine(parse_url(where))
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE photos (id INTEGER)")
        engine.dispose()
    else:
        with sqlite3.connect(where) as connection:
            connection.execute("CREATE TABLE photos (id)")
    assert "not a quantbench results database" in refusal(FormatError, where)


def test_a_newer_database_is_refused(where):
    opened = Database.open(where)
    with opened.transaction(writes=True) as connection:
        connection.exec_driver_sql("UPDATE schema_version SET version = 99")
    opened.close()
    assert "schema version 99" in refusal(FormatError, where)


def test_an_empty_file_is_a_new_database(tmp_path):
    path = tmp_path / "empty.db"
    path.touch()
    Database.open(path).close()
    assert path.stat().st_size > 0


def test_impossible_places(tmp_path):
    (tmp_path / "file").touch()
    assert "must be a file" in refusal(UsageError, tmp_path)
    assert "must be a file" in refusal(UsageError, "sqlite://")
    assert "cannot make the folder" in refusal(UsageError, tmp_path / "file" / "results.db")
    assert "give sqlite:///FILE or postgresql://" in refusal(UsageError, "mysql://bench:secret@db/results")
    assert "not a database URL" in refusal(UsageError, "://")


def test_passwords_are_not_shown():
    url = parse_url("postgresql://bench:secret@db/results")
    assert url.drivername == "postgresql+psycopg"
    assert url == parse_url("postgresql+psycopg://bench:secret@db/results")
    assert shown_name(url) == "postgresql+psycopg://bench:***@db/results"
    assert "secret" not in refusal(UsageError, "mysql://bench:secret@db/results")


def test_a_server_that_does_not_answer(monkeypatch):
    pytest.importorskip("psycopg")
    message = refusal(Unavailable, "postgresql://bench:secret@127.0.0.1:1/results")
    assert "check the URL, and that the server runs" in message
    assert "secret" not in message


def test_a_wrong_password(postgres):
    where = postgres.new_database()
    url = parse_url(where).set(password="wrong").render_as_string(hide_password=False)
    message = refusal(Unavailable, url)
    assert "password authentication failed" in message
    assert "wrong@" not in message


def test_a_locked_database_is_waited_for_and_then_named(path, monkeypatch):
    Database.open(path).close()
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.3)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    assert "is locked by another program (waited 0.3 s)" in refusal(Unavailable, path)
    assert 0.25 < time.monotonic() - began < 5
    holder.close()
    Database.open(path).close()


def test_text_that_is_not_unicode(where):
    with Store.open(where) as opened, pytest.raises(UsageError, match="not valid Unicode text"):
        opened.merge([(RUN, measurement("\udcff"))])
