"""Rounds, what a cut-off run goes on from, and what is kept of a contender's processes."""

from __future__ import annotations

import re

import pytest

from benchmarks import contenders, peers
from benchmarks.networks import NETWORKS, SUFFIXES
from harness.errors import TrialError
from tests.conftest import ROOT

SETTINGS = peers.Settings(rounds=2, min_runs=1, min_ms=1)
NETWORK = NETWORKS["mobilenet_v2"]
PROCESS = {"load_ns": 4_000_000, "cold_ns": 2_000_000, "resident_kb": 1000, "vm_hwm_kb": 3000, "isa": "avx2"}


@pytest.fixture
def measured(monkeypatch, fresh_cache):
    """The processes that were started, in order; the contender's name may be made to fail once."""
    started: list[str] = []

    def process(contender, network, core, min_runs, min_ms):
        started.append(contender.key)
        if process.failing == contender.key:
            process.failing = None
            raise TrialError("cut off")
        return PROCESS | {"ns": [1_000_000 * len(started)] * 3}

    process.failing = None
    process.started = started
    monkeypatch.setattr(peers, "measure", process)
    return process


def run(fresh: bool = False) -> list[dict]:
    journal = peers.Journal({"cpu": "x"}, SETTINGS, fresh)
    return peers.measure_all([NETWORK], ["native"], SETTINGS, 0, journal, lambda text: None)


def test_the_second_round_is_the_first_in_reverse(measured):
    rows = run()
    half = len(measured.started) // 2
    assert measured.started[half:] == measured.started[:half][::-1]
    assert [row["engine"] for row in rows] == [c.engine for c in contenders.contenders("native")]
    assert rows[0]["ms"] == [1.0, 2.0 * half]
    assert rows[0] | {"min_ms": 1.0, "runs": 6, "load_ms": 4.0, "first_ms": 2.0} == rows[0]
    assert (rows[0]["peak_mb"], rows[0]["own_mb"]) == (3.1, 2.0)


def test_a_run_that_was_cut_off_goes_on(measured):
    measured.failing = contenders.contenders("native")[3].key
    with pytest.raises(TrialError):
        run()
    before = len(measured.started)
    run()
    everyone = len(contenders.contenders("native"))
    assert len(measured.started) - before == 2 * everyone - 3
    run(fresh=True)
    assert len(measured.started) - before == 4 * everyone - 3


def test_every_contender_has_its_file_and_both_isas_the_same_field():
    native, avx2 = contenders.contenders("native"), contenders.contenders("avx2")
    assert {contender.file for contender in native} == SUFFIXES.keys()
    assert [(c.engine, c.file) for c in native] == [(c.engine, c.file) for c in avx2]
    assert {"int8", "hybrid", "f32"} == {c.form for c in native if c.engine == contenders.OURS}


def test_the_mark_is_the_same_wherever_it_is_written():
    """The runner, QEMU's plugin and the script in the AArch64 Python cannot share a file."""
    pattern = re.compile(r"\bQ?B?_?MARK(?:,\s*GETPPID)?\s*=?\s*(0x[0-9a-fA-F]+)")
    places = ("runtime/runner/runner.h", "devices/count_instructions.c", "benchmarks/arm_litert.py")
    values = {pattern.search((ROOT / place).read_text())[1].lower() for place in places}
    assert values == {"0x51424d4b"}
