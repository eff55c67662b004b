"""Several controllers at one results database, and killed ones: no committed cell is lost."""

import multiprocessing
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from harness.store import Store
from tests.support.measurements import RUN, another_run, contents, measurement
from tests.test_store import counts


def test_four_writers_lose_nothing(where):
    def write(name: str) -> None:
        with Store.open(where) as opened:
            writer = opened.new_run(another_run())
            for n in range(10):
                writer.add(measurement(f"{name}{n}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, "abcd"))
    with Store.open(where) as opened:
        assert counts(opened)["cells"] == 40
        assert counts(opened)["runs"] == 4
        assert counts(opened)["datasets"] == 1


def test_two_writers_of_one_run_store_each_cell_once(where):
    both = [(RUN, measurement(f"model{n}")) for n in range(10)]

    def merge(_turn: int) -> int:
        with Store.open(where) as opened:
            return sum(opened.merge([one])[0] for one in both)

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(merge, range(3))) == 10


def _write_until_killed(where: str, name: str, journal: str, started) -> None:
    """Adds cells as fast as it can; writes a line for each that is committed."""
    with Store.open(where) as opened, open(journal, "a") as file:
        opened.new_run(another_run()).add(measurement("before"))
        writer = opened.new_run(replace(another_run(), release=name))
        started.set()
        for n in range(100_000):
            writer.add(measurement(f"model{n}"))
            print(n, file=file, flush=True)


def _committed_when_killed(moment_s: float, where: str, name: str, journal: Path, processes) -> int:
    """Kills a writer after so many seconds; how many cells it knew to be committed."""
    started = processes.Event()
    killed = processes.Process(target=_write_until_killed, args=(where, name, str(journal), started))
    killed.start()
    assert started.wait(60)
    time.sleep(moment_s)
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    return journal.read_text().count("\n")


@pytest.fixture(scope="module")
def forked():
    """New processes that need not import everything again."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    return processes


def test_a_controller_killed_at_random_moments_loses_no_committed_cell(where, tmp_path, forked):
    moments = random.Random(9)
    turns = 50 if "://" not in where else 15
    all_committed = 0
    for turn in range(turns):
        release = f"turn {turn}"
        moment = moments.uniform(0, 0.1)
        committed = _committed_when_killed(moment, where, release, tmp_path / release, forked)
        with Store.open(where) as opened:
            cells = [
                (cell_id, cell.model)
                for run_id, run in opened.runs().items()
                if run.release == release
                for cell_id, cell in opened.cells(run_id).items()
            ]
            assert [model for _, model in cells] == [f"model{n}" for n in range(len(cells))]
            assert committed <= len(cells) <= committed + 1, "the cell in flight is there, whole, or not"
            for cell_id, model in cells[-1:]:
                assert contents(opened.measurement(cell_id)) == contents(measurement(model))
        all_committed += committed
    assert all_committed > turns
    with Store.open(where) as opened:
        assert opened.new_run(another_run()).add(measurement()) is not None
        assert all_committed + turns + 1 <= counts(opened)["cells"] <= all_committed + 2 * turns + 1
