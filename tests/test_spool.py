"""The spool file: everything that waits is stored once, whatever happens in between."""

import multiprocessing
import os
import signal
import threading
from pathlib import Path

import pytest

from harness.database import Unavailable
from harness.errors import UsageError
from harness.records import Entry, to_line
from harness.spool import Spool
from harness.store import Store, spool_path
from tests.support.measurements import RUN, contents, measurement


@pytest.fixture
def spool(tmp_path) -> Spool:
    return Spool(tmp_path / "folder" / "spool.jsonl")


def fill(spool: Spool, *models: str) -> None:
    for model in models:
        spool.append(RUN, measurement(model))


class Stored(list):
    """Takes measurements and keeps their models."""

    def __call__(self, _run, one) -> None:
        self.append(one.cell.model)


def test_what_waits_is_stored_and_the_file_goes(spool):
    fill(spool, "a", "b")
    taken = []
    done = spool.replay(lambda run, one: taken.append((run, contents(one))))
    assert taken == [(RUN, contents(measurement("a"))), (RUN, contents(measurement("b")))]
    assert (done.stored, done.waiting, done.damaged) == (2, 0, {})
    assert os.listdir(spool.path.parent) == []
    assert spool.replay(Stored()).stored == 0


def test_a_database_that_is_locked_again_leaves_the_rest(spool):
    fill(spool, "a", "b", "c")
    taken = Stored()

    def store(run, one):
        if one.cell.model == "b":
            raise Unavailable("locked")
        taken(run, one)

    done = spool.replay(store)
    assert (done.stored, done.waiting, done.reason) == (1, 2, "locked")
    assert spool.replay(taken).stored == 2
    assert taken == ["a", "b", "c"]


@pytest.mark.parametrize("damage", [b"{}", b"\xff\x00", b"", b'{"sha256": "00", "record": {}}', None])
def test_a_damaged_line_is_told_and_kept_and_the_rest_stored(spool, damage):
    fill(spool, "a", "b", "c")
    lines = spool.path.read_bytes().splitlines()
    lines[1] = damage if damage is not None else lines[1][:200]
    spool.path.write_bytes(b"\n".join(lines) + b"\n")
    taken = Stored()
    for turn in range(2):  # told again as long as it is there
        done = spool.replay(taken)
        assert (done.stored, list(done.damaged)) == ((2, [2]) if turn == 0 else (0, [1]))
        assert spool.path.read_bytes() == lines[1] + b"\n"
    assert taken == ["a", "c"]


def test_half_a_line_does_not_spoil_the_next(spool):
    fill(spool, "a", "b")
    spool.path.write_bytes(spool.path.read_bytes()[:-300])
    fill(spool, "c")
    taken = Stored()
    assert list(spool.replay(taken).damaged) == [2]
    assert taken == ["a", "c"]


def test_a_refused_measurement_is_kept(spool):
    fill(spool, "a", "b")

    def refuse(_run, one):
        raise UsageError(f"no place for\n{one.cell.model}")

    assert spool.replay(refuse).damaged == {1: "no place for\\na", 2: "no place for\\nb"}
    assert spool.replay(Stored()).stored == 2


def _replay_and_die(where: str, after: int, cache: str) -> None:
    """Is killed when so many measurements are committed, before the file is changed."""
    os.environ["QUANTBENCH_CACHE"] = cache  # which the server that forks does not know
    insert, count = Store._insert, 0

    def insert_then_die(self, run, one):
        nonlocal count
        if count == after:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        return insert(self, run, one)

    Store._insert = insert_then_die
    Store.open(where)


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_replay_that_is_killed_is_done_again_and_stores_each_once(where, after, fresh_cache):
    fill(Spool(spool_path(where)), *"abcd")
    processes = multiprocessing.get_context("forkserver")
    killed = processes.Process(target=_replay_and_die, args=(where, after, str(fresh_cache)))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    notes = []
    with Store.open(where, notes.append) as opened:
        (run_id,) = opened.runs()
        assert sorted(c.model for c in opened.cells(run_id).values()) == list("abcd")
    assert "stored 4 measurements" in notes[0]
    assert not spool_path(where).exists()


def test_many_may_append_and_replay_at_once(spool):
    taken, everything = Stored(), [f"{name}{n}" for name in "abc" for n in range(15)]

    def replay():
        while len(taken) < len(everything):
            spool.replay(taken)

    threads = [
        *(threading.Thread(target=fill, args=(spool, *everything[i::3])) for i in range(3)),
        *(threading.Thread(target=replay, daemon=True) for _ in range(2)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert sorted(taken) == sorted(everything)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="a measurement is lost"):
        fill(Spool(tmp_path / "file" / "spool.jsonl"), "a")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot replay"):
        Spool(tmp_path / "folder").replay(Stored())


def test_the_spool_of_a_server_has_no_password_in_its_name(fresh_cache):
    one = spool_path("postgresql://bench:secret@db/results")
    assert one == spool_path("postgresql://bench:changed@db/results")
    assert one != spool_path("postgresql://bench:secret@db/other")
    assert one.is_relative_to(fresh_cache)
    assert spool_path("a/results.db") == Path("a/results.db.spool.jsonl")


def test_lines_are_what_export_writes(spool):
    fill(spool, "a")
    assert spool.path.read_bytes() == to_line(Entry(RUN, measurement("a")))
