"""From trials to cells: the numbers, and exactly one verdict for everything that can go wrong."""

from dataclasses import replace

import numpy as np
import pytest

from devices import RunResult
from harness.errors import DeviceError
from harness.measure import failed_cell, measure, summarize
from harness.results import EvaluationSet, Shard, Variant
from harness.trial import DEFAULT, QUICK
from tests.support.fake_device import FakeDevice, latency_events, lines, option, top_events
from tests.test_trial import F32, HYBRID, INT8

LABELS = np.arange(10, dtype=np.int32) % 3
SHARDS = (Shard(10, lambda: "pets.qbd"),)
EVALUATION = EvaluationSet("pets", "ab" * 32, tuple(f"i{n}" for n in range(10)), LABELS, SHARDS)
RIGHT = [[int(label), 5, 6, 7, 8, 9] for label in LABELS]


def cells(device: FakeDevice, *variants: Variant, settings=QUICK, evaluation=EVALUATION) -> list:
    return [m.cell for m in measure(device, "runner", "tiny", variants or (F32,), settings, evaluation)]


def test_a_valid_cell_has_every_number():
    (measurement,) = measure(FakeDevice(classes=RIGHT), "runner", "tiny", [INT8], QUICK, EVALUATION)
    cell = measurement.cell
    assert (cell.device, cell.arch, cell.cpu, cell.core) == ("fake", "aarch64", "cortex-a72", 3)
    assert (cell.model, cell.variant, cell.arithmetic) == ("tiny", "int8", "int8-ptq")
    assert (cell.verdict, cell.reasons, cell.warnings) == ("valid", (), ())
    assert cell.latency_ms.median == cell.latency_ms.min == 10
    assert cell.latency_ms.ci95 == (10, 10)
    assert (cell.latency_ms.n, cell.latency_ms.mad, cell.latency_ms.cold_start) == (102, 0, 30)
    assert (cell.top1, cell.top5, cell.samples, cell.dataset_sha256) == (1, 1, 10, "ab" * 32)
    assert (cell.size_bytes, cell.peak_memory_bytes, cell.energy_mj) == (1000, 1_024_000, None)
    assert len(measurement.processes) == 3
    assert measurement.predictions.classes.shape == (10, 6)
    assert [(n.name, n.op, n.macs, n.median_ns) for n in measurement.layers] == [
        (name, "CONV_2D", 10, 7) for name in ("n0", "n1")
    ]
    assert {len(node.ns) for node in measurement.layers} == {10}


def test_top1_and_top5():
    rows = [*RIGHT[:4], *([5, 6, label, 7, 8] + [9] for label in LABELS[4:9]), [5, 6, 7, 8, 9, LABELS[9]]]
    (cell,) = cells(FakeDevice(classes=[[int(c) for c in row] for row in rows]))
    assert (cell.top1, cell.top5) == (0.4, 0.9)


def test_top5_of_fewer_than_five_classes_is_not_a_figure():
    (cell,) = cells(FakeDevice(classes=[[int(label), 3] for label in LABELS]))
    assert (cell.top1, cell.top5) == (1, None)


def test_latency_alone():
    (measurement,) = measure(FakeDevice(), "runner", "tiny", [F32], QUICK)
    assert measurement.cell.verdict == "valid"
    assert measurement.cell.top1 is measurement.cell.samples is measurement.cell.dataset_sha256 is None
    assert measurement.predictions is measurement.dataset is None


def test_summary_of_a_long_trial():
    processes = next(iter(measure(FakeDevice(), "runner", "tiny", [F32], DEFAULT))).processes
    summary = summarize([replace(p, ns=p.ns + 1000 * p.round) for p in processes])
    assert summary.p90 == 10.002
    assert summary.median == pytest.approx(10.001)
    assert summary.ci95 == pytest.approx((10, 10.002))


# --- emulation ---


def test_an_emulated_cell_has_instructions_and_no_memory_figure():
    (cell,) = cells(
        FakeDevice(classes=RIGHT, emulated=True, instructions=123, run_ns=600_000), settings=DEFAULT
    )
    assert cell.emulated
    assert (cell.instructions, cell.peak_memory_bytes) == (123, None)
    assert cell.latency_ms.n < 6000  # the quick settings
    assert cell.warnings == ()  # nobody looks at its milliseconds


# --- invalid ---


def test_a_run_cut_short_is_invalid_but_kept():
    def cut_short(argv):
        if argv[1] == "latency":
            return RunResult(0, lines(option(argv, "--nonce"), *latency_events([10**7] * 2)), b"")
        return None

    (cell,) = cells(FakeDevice(classes=RIGHT, misbehave=cut_short))
    assert cell.verdict == "invalid"
    assert cell.reasons == (
        "minimums unmet: 6 runs of at least 20 in 0.1 s",
        "minimums unmet: 0.06 s of timed runs of at least 1 s",
    )
    assert cell.latency_ms.median == 10


def test_a_slow_model_stopped_by_the_cap_is_valid_with_20_runs():
    (cell,) = cells(FakeDevice(classes=RIGHT, run_ns=5 * 10**9), settings=DEFAULT)
    assert (cell.verdict, cell.latency_ms.n) == ("valid", 24)


def test_a_model_too_slow_for_20_runs_is_invalid():
    (cell,) = cells(FakeDevice(classes=RIGHT, run_ns=9 * 10**9), settings=DEFAULT)
    assert cell.verdict == "invalid"
    assert cell.reasons == ("minimums unmet: 15 runs of at least 20 in 135.0 s",)


def test_too_little_warm_up_is_invalid():
    def cold(argv):
        if argv[1] == "latency":
            return RunResult(
                0, lines(option(argv, "--nonce"), *latency_events([10**7] * 40, warmup_runs=2)), b""
            )
        return None

    (cell,) = cells(FakeDevice(classes=RIGHT, misbehave=cold))
    assert cell.reasons == ("minimums unmet: a process warmed up for less than 3 runs",)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ({"boot_id": "a"}, {"boot_id": "b"}, "the device rebooted during the trial (boot_id a -> b)"),
        ({"governor": "x"}, {"governor": "\x1b[1m"}, "the governor changed (governor x -> \\x1b[1m)"),
    ],
)
def test_a_device_that_changed_makes_the_cell_invalid(before, after, reason):
    (cell,) = cells(FakeDevice(classes=RIGHT, facts=[before, after]))
    assert (cell.verdict, cell.reasons) == ("invalid", (reason,))


def test_facts_that_may_change_or_are_not_known_say_nothing():
    (measurement,) = measure(
        FakeDevice(facts=[{"kernel": "6.1"}, {"kernel": "6.2", "governor": "powersave"}]),
        "r",
        "m",
        [F32],
        QUICK,
    )
    assert measurement.cell.verdict == "valid"
    assert measurement.info.facts == {"kernel": "6.1"}
    assert measurement.after == {"kernel": "6.2", "governor": "powersave"}


@pytest.mark.parametrize("given", [9, 11])
def test_a_wrong_sample_count_is_invalid_without_an_accuracy(given):
    def miscount(argv):
        if argv[1] == "accuracy":
            return RunResult(0, lines(option(argv, "--nonce"), *top_events([[1, 2]] * given)), b"")
        return None

    (measurement,) = measure(FakeDevice(misbehave=miscount), "r", "tiny", [F32], QUICK, EVALUATION)
    cell = measurement.cell
    assert (cell.verdict, cell.top1, cell.samples) == ("invalid", None, given)
    assert cell.reasons == (f"wrong sample count: {given} of 10 samples were predicted",)
    assert measurement.predictions is None


# --- failed ---


@pytest.mark.parametrize("mode", ["latency", "accuracy"])
def test_a_crash_fails_one_variant_and_leaves_no_number(mode):
    def crash(argv):
        broken = argv[1] == mode and option(argv, "--model") == "hybrid.qbm"
        return RunResult(None, b"", b"", "SIGSEGV") if broken else None

    found = cells(FakeDevice(classes=RIGHT, misbehave=crash), F32, HYBRID, INT8)
    assert [cell.verdict for cell in found] == ["valid", "failed", "valid"]
    failed = found[1]
    assert failed.reasons == ("the runner died of SIGSEGV",)
    assert failed.latency_ms is failed.top1 is failed.instructions is failed.peak_memory_bytes is None
    assert failed.size_bytes == 1000


def test_a_lost_device_fails_every_variant():
    device = FakeDevice(misbehave=lambda argv: DeviceError("fake: connection lost\x1b"))
    found = cells(device, F32, INT8)
    assert [(cell.verdict, cell.reasons) for cell in found] == [
        ("failed", ("fake: connection lost\\x1b",))
    ] * 2


def test_a_failed_cell_names_every_reason():
    cell = failed_cell(FakeDevice().info(), "tiny", F32, "one", "two")
    assert (cell.verdict, cell.reasons, cell.model_sha256) == ("failed", ("one", "two"), "f32" * 8)


# --- warnings ---


def test_an_unpinned_run_is_told():
    def loose(argv):
        if argv[1] == "latency":
            return RunResult(0, lines(option(argv, "--nonce"), *latency_events([10**7] * 40, core=None)), b"")
        return None

    (cell,) = cells(FakeDevice(classes=RIGHT, misbehave=loose))
    assert (cell.verdict, cell.core) == ("valid", None)
    assert cell.warnings[0].startswith("not pinned")


def test_other_programs_on_the_core_are_told():
    def interrupted(argv):
        if argv[1] == "latency":
            events = latency_events([10**7] * 40, switches=8)
            return RunResult(0, lines(option(argv, "--nonce"), *events), b"")
        return None

    (cell,) = cells(FakeDevice(classes=RIGHT, misbehave=interrupted))
    assert cell.verdict == "valid"
    assert cell.warnings == (
        "shared core: the runner was interrupted 20 times a second; stop other programs on the device",
    )


def test_noise_is_told():
    rng = np.random.default_rng(1)

    def noisy(argv):
        if argv[1] == "latency":
            ns = rng.uniform(5e6, 15e6, 100).astype(int).tolist()
            return RunResult(0, lines(option(argv, "--nonce"), *latency_events(ns)), b"")
        return None

    (cell,) = cells(FakeDevice(classes=RIGHT, misbehave=noisy))
    assert cell.verdict == "valid"
    assert cell.warnings[0].startswith("unstable: standard deviation is")


def test_int8_far_below_its_float_model_is_flagged_whatever_the_order():
    def worse(argv):
        if argv[1] == "accuracy" and option(argv, "--model") != "f32.qbm":
            rows = [*RIGHT[:9], [4, 5, 6, 7, 8, 9]]
            events = top_events([[int(c) for c in row] for row in rows])
            return RunResult(0, lines(option(argv, "--nonce"), *events), b"")
        return None

    device = FakeDevice(classes=RIGHT, misbehave=worse)
    by_name = {cell.variant: cell for cell in cells(device, INT8, HYBRID, F32)}
    assert by_name["int8"].warnings[0].startswith("top-1 0.900 is under 98% of the float model's 1.000; ")
    assert by_name["int8"].verdict == "valid"
    assert by_name["hybrid"].warnings == by_name["f32"].warnings == ()
