"""A figure over the releases: which cells count, and where the steps are."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import DeviceInfo
from harness import history
from harness.errors import UsageError
from harness.history import change_points, series
from harness.results import INVALID, Cell, Latency, Measurement, RunRecord
from harness.store import Store

INFO = DeviceInfo("pi4", "ssh", "aarch64", "cortex-a72", False, {})
CELL = Cell("pi4", "aarch64", "cortex-a72", False, 3, "net", "int8", "int8-ptq", size_bytes=1000)


def timed(ms: float) -> Cell:
    return replace(CELL, latency_ms=Latency(ms, None, ms, 0.0, 20, None, 2 * ms))


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "results.db") as opened:
        yield opened


def add(store: Store, release: str | None, cell: Cell) -> None:
    record = RunRecord("2026-01-01T00:00:00+00:00", "0.1", "aarch64:00", release=release)
    info = replace(INFO, cpu=cell.cpu, emulated=cell.emulated)
    store.new_run(record).add(Measurement(cell, info))


def values(store: Store, metric: str = "latency_median_ms") -> list[tuple[str, float]]:
    return [(p.release, p.value) for p in series(store, "pi4", "net", "int8", metric)]


# --- series ---


def test_a_release_counts_once_with_its_newest_run_in_the_order_of_the_first(store):
    for release, ms in (("1.0", 10), ("1.1", 12), ("1.0", 11), (None, 99)):
        add(store, release, timed(ms))
    assert values(store) == [("1.0", 11), ("1.1", 12)]
    (first, second) = series(store, "pi4", "net", "int8", "size_bytes")
    assert (first.run_id, second.run_id) == (3, 2)


def test_what_is_invalid_or_unlike_the_newest_is_left_out(store):
    add(store, "1.0", replace(timed(10), cpu="cortex-a53"))
    add(store, "1.1", replace(timed(11), verdict=INVALID))
    add(store, "1.2", timed(12))
    add(store, "1.3", CELL)
    assert values(store) == [("1.2", 12)]
    assert [release for release, _ in values(store, "size_bytes")] == ["1.2", "1.3"]


def test_shares_of_another_data_set_are_left_out(store):
    add(store, "1.0", replace(CELL, top1=0.5, dataset_sha256="a"))
    add(store, "1.1", replace(CELL, top1=0.6, dataset_sha256="b"))
    assert values(store, "top1") == [("1.1", 0.6)]


def test_milliseconds_of_an_emulator_have_no_history(store):
    add(store, "1.0", replace(timed(10), emulated=True, instructions=7))
    assert values(store) == []
    assert values(store, "instructions") == [("1.0", 7)]


def test_unknown_metric_is_refused(store):
    with pytest.raises(UsageError, match="did you mean instructions"):
        series(store, "pi4", "net", "int8", "instruction")


def test_every_metric_is_a_column():
    for metric in history.METRICS:
        history.column(metric)


# --- change points ---


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ([], []),
        ([5], []),
        ([10, 10, 10, 12, 12], [3]),
        ([10, 10, 10, 12, 12, 12, 9, 9, 9], [3, 6]),
        ([0.9, 0.9, 0.9, 0, 0, 0], [3]),
        ([5, 5, 5, 5], []),
    ],
)
def test_steps_seen_by_eye(data, found):
    assert change_points(data) == found


def test_one_release_is_enough_where_values_are_exact():
    noise = history.noise_floor("instructions")
    assert change_points([100, 102], noise) == [1]
    assert change_points([1000, 1001, 1000, 1001], noise) == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(1, 1e3), min_size=1, max_size=12))
def test_cost_of_a_level_is_its_absolute_deviation_from_the_median(data):
    errors = history._segment_errors(np.array(data))
    for i in range(len(data)):
        for j in range(i + 1, len(data) + 1):
            part = np.array(data[i:j])
            assert errors[i, j] == pytest.approx(np.abs(part - np.median(part)).sum(), abs=1e-6)


def test_noise_has_no_steps():
    """3 % of noise, three times the assumed: at most 2 of 100 histories may show one."""
    rng = np.random.default_rng(5)
    noisy = [np.exp(rng.normal(0, 0.03, n)) for n in (10, 20, 40, 60) for _ in range(25)]
    assert sum(bool(change_points(data)) for data in noisy) <= 2


def test_a_step_in_noise_is_found_where_it_is():
    rng = np.random.default_rng(6)
    found = [change_points(np.exp(rng.normal(0, 0.01, 20)) * np.repeat([1, 1.1], 10)) for _ in range(50)]
    assert found.count([10]) >= 48
