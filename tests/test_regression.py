"""Releases with a known difference, and what is said of them."""

from dataclasses import replace

import pytest

from devices import DeviceInfo
from harness import regression, releases
from harness.errors import UsageError
from harness.regression import compare
from harness.results import FAILED, INVALID
from harness.store import Store
from tests.support.releases import INFO, add, measurement

QEMU = DeviceInfo("qemu", "qemu", "aarch64", "cortex-a72", True, {})


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "results.db") as opened:
        yield opened


def judged(store, base, new, **options):
    """Compares two runs of one measurement or several each; metric (and variant) → finding."""
    for name, made in (("1.0", base), ("2.0", new)):
        add(store, name, *(made if isinstance(made, list) else [made]))
    sides = (releases.read(name, store) for name in ("1.0", "2.0"))
    found = compare(*sides, **options)
    several = isinstance(base, list)
    return {(f.variant, f.metric) if several else f.metric: f for f in found.findings}


def latency(store, base, new):
    return judged(store, base, new)["latency_median_ms"]


# --- latency ---


def test_a_slowdown_is_suspected_at_the_first_look(store):
    found = latency(store, measurement(10), measurement(10.5, seed=1))
    assert (found.verdict, found.confirmed) == ("regressed", False)
    assert found.ratio == pytest.approx(1.05, abs=0.01)
    assert found.interval[0] < 1.05 < found.interval[1]
    assert found.p_corrected < 0.002
    assert "--confirm" in found.reason


def test_a_slowdown_measured_in_turn_is_confirmed(store):
    found = judged(store, measurement(10), measurement(10.5, seed=1))
    for name, ms in (("1.0", 10), ("2.0", 10.6)):
        record = next(run for run in store.runs().values() if run.release == name)
        again = replace(record, uuid=name, settings=record.settings | {"interleaved": "x"})
        store.new_run(again).add(measurement(ms, seed=3, size_bytes=None))
    sides = [releases.read(name, store) for name in ("1.0", "2.0")]
    found = {f.metric: f for f in compare(*sides).findings}
    assert (found["latency_median_ms"].verdict, found["latency_median_ms"].confirmed) == ("regressed", True)
    assert found["size_bytes"].base == 1000, "everything else comes from the ordinary run"


def test_a_speedup_and_the_same_speed(store):
    assert latency(store, measurement(10), measurement(9, seed=1)).verdict == "improved"


def test_the_same_speed_is_no_change(store):
    assert latency(store, measurement(10), measurement(10, seed=1)).verdict == "no change"


def test_three_processes_are_too_few_and_the_remedy_is_named(store):
    found = latency(store, measurement(10, count=3), measurement(20, count=3))
    assert found.verdict == "inconclusive"
    assert "at least 7 a side" in found.reason
    assert "--processes 20" in found.reason


def test_a_device_that_differs_that_much_from_itself_gives_no_alarm(store):
    add(store, "0.9", measurement(10))
    add(store, "0.9", measurement(11.5))
    found = latency(store, measurement(10), measurement(11, seed=1))
    assert found.verdict == "inconclusive"


def test_p_values_are_corrected_over_all_cells(store):
    variants = ("f32", "hybrid", "int8")
    found = judged(
        store, [measurement(10, variant=v) for v in variants], [measurement(12, variant=v) for v in variants]
    )
    for variant in variants:
        finding = found[variant, "latency_median_ms"]
        assert finding.p_corrected == pytest.approx(3 * finding.p)


def test_invalid_times_are_not_judged(store):
    found = latency(store, measurement(10), measurement(20, verdict=INVALID, reasons=("throttled",)))
    assert (found.verdict, found.reason) == ("inconclusive", "NEW is invalid: throttled")


def test_milliseconds_of_an_emulator_are_never_looked_at(store):
    found = judged(
        store, measurement(10, info=QEMU, instructions=100), measurement(90, info=QEMU, instructions=100)
    )
    assert "latency_median_ms" not in found
    assert found["instructions"].verdict == "no change"


# --- exact figures ---


@pytest.mark.parametrize(
    ("metric", "base", "new", "verdict"),
    [
        ("instructions", 1_000_000, 1_009_000, "no change"),
        ("instructions", 1_000_000, 1_011_000, "regressed"),
        ("instructions", 1_000_000, 900_000, "improved"),
        ("instructions", 1_000_000, None, "inconclusive"),
        ("size_bytes", 1000, 1011, "regressed"),
        ("peak_memory_bytes", 2_000_000, 2_100_000, "no change"),  # 100 kB: pages around the ones in use
        ("peak_memory_bytes", 2_000_000, 2_200_000, "regressed"),
    ],
)
def test_exact_figures(store, metric, base, new, verdict):
    found = judged(store, measurement(None, **{metric: base}), measurement(None, **{metric: new}))[metric]
    assert (found.verdict, found.confirmed) == (verdict, True)


def test_threshold_is_the_callers(store):
    pair = measurement(None, instructions=1000), measurement(None, instructions=1040)
    assert judged(store, *pair, threshold=0.05)["instructions"].verdict == "no change"


# --- accuracy ---


@pytest.mark.parametrize(
    ("base", "new", "verdict"),
    [
        (20, 20, "no change"),
        (20, 21, "no change"),
        (20, 24, "inconclusive"),
        (20, 30, "regressed"),
        (30, 20, "improved"),
    ],
)
def test_accuracy_by_paired_predictions(store, base, new, verdict):
    """10 against 0 disagreements: 2 · ½¹⁰ = 0.002. 4 against 0: 0.125, yet 2 points lower."""
    found = judged(store, measurement(None, wrong=base), measurement(None, wrong=new))["top1"]
    assert found.verdict == verdict


def test_accuracy_newly_under_the_floor(store):
    """98 % of BASE's float 0.9 is 0.882: 0.895 is above, 0.880 below, and McNemar alone would not say so."""
    base = [measurement(None, variant="f32", wrong=20), measurement(None, wrong=21)]
    new = [measurement(None, variant="f32", wrong=20), measurement(None, wrong=24)]
    found = judged(store, base, new)
    assert found["int8", "top1"].verdict == "regressed"
    assert "0.882" in found["int8", "top1"].reason
    assert found["f32", "top1"].verdict == "no change"


@pytest.mark.parametrize(
    ("after", "verdict"), [(0.895, "no change"), (0.88, "regressed"), (0.93, "improved")]
)
def test_auc_by_its_difference(store, after, verdict):
    """An anomaly detector has no top-1, so nothing is said of one."""
    found = judged(store, measurement(None, auc=0.9), measurement(None, auc=after))
    assert found["auc"].verdict == verdict
    assert "top1" not in found


# --- what is compared at all ---


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"core": 2}, "core 3 and 2"),
        ({"info": replace(INFO, facts={"governor": "ondemand"})}, "governor performance and ondemand"),
        ({"info": replace(INFO, cpu="cortex-a53")}, "cpu cortex-a72 and cortex-a53"),
        ({"info": replace(INFO, emulated=True)}, "emulated False and True"),
        ({"dataset_sha256": "eb" * 32}, "data set"),
    ],
)
def test_unlike_pairs_are_refused_and_the_difference_named(store, changes, named):
    with pytest.raises(UsageError, match=named):
        judged(store, measurement(10, wrong=5), measurement(10, wrong=5, **changes))


def test_trials_of_another_length_are_refused(store):
    add(store, "1.0", measurement(10))
    add(store, "2.0", measurement(10), trial="quick")
    with pytest.raises(UsageError, match="trial default and quick"):
        compare(releases.read("1.0", store), releases.read("2.0", store))


def test_another_model_file_is_what_releases_are_about(store):
    add(store, "1.0", measurement(10))
    add(store, "2.0", measurement(10, model_sha256="cd" * 32))
    found = compare(releases.read("1.0", store), releases.read("2.0", store))
    assert found.notes == ("another model file: pi4 net int8",)


def test_cells_of_one_side_are_named(store):
    add(store, "1.0", measurement(10), measurement(10, variant="f32"))
    add(store, "2.0", measurement(10))
    found = compare(releases.read("1.0", store), releases.read("2.0", store))
    assert found.notes == ("only in 1.0: pi4 net f32",)
    assert {f.variant for f in found.findings} == {"int8"}


def test_nothing_in_common_is_refused(store):
    with pytest.raises(UsageError, match="in common"):
        judged(store, measurement(10), measurement(10, variant="f32"))


def test_a_cell_that_fails_is_a_regression(store):
    found = judged(store, measurement(10), measurement(None, verdict=FAILED, reasons=("no memory",)))
    assert found["verdict"].verdict == "regressed"
    assert found["verdict"].reason == "NEW failed: no memory"


def test_confirmed_and_suspected_are_told_apart(store):
    add(store, "1.0", measurement(10, instructions=100))
    add(store, "2.0", measurement(12, instructions=200))
    found = compare(releases.read("1.0", store), releases.read("2.0", store))
    assert [f.metric for f in found.regressions()] == ["instructions"]
    assert [f.metric for f in found.suspects()] == [regression.LATENCY]
