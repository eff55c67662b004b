"""Trials against a device in memory: what is asked of the runner, and what its answers become."""

import dataclasses

import numpy as np
import pytest

from devices import DeviceInfo, RunResult
from harness.errors import DeviceError, TrialError
from harness.results import EvaluationSet, Shard, Variant
from harness.trial import (
    CHUNK,
    DEFAULT,
    QUICK,
    RELEASE,
    accuracy_trial,
    bandwidth_trial,
    instructions_by_node,
    instructions_per_inference,
    latency_trials,
    profile_trial,
)
from tests.support.fake_device import FakeDevice, lines, option, start, top_events

F32, HYBRID, INT8 = (
    Variant(name, arithmetic, f"{name}.qbm", name * 8, 1000)
    for name, arithmetic in (("f32", "f32"), ("hybrid", "hybrid"), ("int8", "int8-ptq"))
)


def evaluation(count: int) -> EvaluationSet:
    ids = tuple(f"image{i}" for i in range(count))
    shards = (Shard(count, lambda: "pets.qbd"),)
    return EvaluationSet("pets", "ab" * 32, ids, np.zeros(count, np.int32), shards)


# --- settings ---


def test_an_emulator_takes_no_more_processes_than_a_quick_trial():
    """They are for telling times apart, and an emulator's times are not looked at."""
    many = dataclasses.replace(DEFAULT, processes=20)
    emulated = FakeDevice(emulated=True).info()
    assert many.on(emulated) == QUICK
    assert dataclasses.replace(DEFAULT, processes=2).on(emulated).processes == 2
    assert many.on(FakeDevice().info()) == many


def test_processes_share_a_cells_minimums():
    assert [DEFAULT.share(n) for n in (128, 10_000, 120_000)] == [43, 3334, 40_000]
    assert (RELEASE.min_runs, RELEASE.min_ms, RELEASE.max_ms) == (1024, 60_000, 600_000)


def test_an_emulator_is_not_kept_long():
    info = DeviceInfo("qemu", "qemu", "aarch64", "cortex-a72", emulated=True)
    assert RELEASE.on(info) == QUICK
    assert RELEASE.on(DeviceInfo("pi", "ssh", "aarch64", "cortex-a72", emulated=False)) == RELEASE


# --- latency ---


def test_variants_are_interleaved_back_and_forth():
    device = FakeDevice()
    trials = latency_trials(device, "runner", [F32, HYBRID, INT8], QUICK)
    order = [option(argv, "--model").removesuffix(".qbm") for argv in device.commands]
    assert order == ["f32", "hybrid", "int8", "int8", "hybrid", "f32", "f32", "hybrid", "int8"]
    assert [p.round for p in trials["int8"].processes] == [0, 1, 2]
    assert trials["f32"].processes[0].core == 3


def test_the_runner_is_asked_for_a_processs_share():
    device = FakeDevice()
    trials = latency_trials(device, "runner", [F32], DEFAULT, data="pets.qbd")
    argv = device.commands[0]
    assert argv[:2] == ["runner", "latency"]
    asked = {name: option(argv, name) for name in ("--min-runs", "--min-ms", "--max-ms", "--warmup-runs")}
    assert asked == {"--min-runs": "43", "--min-ms": "3334", "--max-ms": "40000", "--warmup-runs": "3"}
    assert option(argv, "--data") == "pets.qbd"
    assert len(trials["f32"].runs()) == 3 * 334  # 10 ms a run: the minimum duration is met last


def test_every_process_has_its_own_nonce_and_a_deadline_beyond_its_cap():
    device = FakeDevice()
    latency_trials(device, "runner", [F32, INT8], DEFAULT)
    assert len({option(argv, "--nonce") for argv in device.commands}) == 6
    assert all(40 < timeout < 600 for timeout in device.timeouts)


def test_a_failed_variant_is_out_and_the_others_go_on():
    def crash(argv):
        return RunResult(None, b"", b"", "SIGILL") if option(argv, "--model") == "int8.qbm" else None

    device = FakeDevice(misbehave=crash)
    trials = latency_trials(device, "runner", [F32, INT8], QUICK)
    assert trials["int8"].failure == "the runner died of SIGILL"
    assert len([a for a in device.commands if option(a, "--model") == "int8.qbm"]) == 1
    assert trials["f32"].failure is None
    assert len(trials["f32"].processes) == 3


def test_a_missed_deadline_fails_the_variant():
    device = FakeDevice(misbehave=lambda argv: DeviceError("fake: no answer within 5 s"))
    assert latency_trials(device, "runner", [F32], QUICK)["f32"].failure == "fake: no answer within 5 s"


def test_an_answer_to_an_earlier_trial_is_refused():
    stale = RunResult(0, lines("stale", *FakeDevice().events(latency_argv())), b"")
    trials = latency_trials(FakeDevice(misbehave=lambda argv: stale), "runner", [F32], QUICK)
    assert "nonce" in trials["f32"].failure


def latency_argv() -> list[str]:
    return ["runner", "latency", "--min-runs", "3", "--min-ms", "1", "--max-ms", "99"]


def test_progress_counts_processes():
    seen = []
    latency_trials(FakeDevice(), "r", [F32, INT8], QUICK, progress=lambda *step: seen.append(step))
    assert seen[0] == ("latency f32", 0, 6)
    assert seen[-1] == ("latency int8", 5, 6)


# --- accuracy ---


def test_every_sample_is_run_once_in_chunks():
    count = 2 * CHUNK + 3
    classes = [[i % 7, 7] for i in range(count)]
    device = FakeDevice(classes=classes)
    predictions = accuracy_trial(device, "runner", F32, evaluation(count), run_s=0.01)
    asked = [(int(option(a, "--first")), int(option(a, "--count"))) for a in device.commands]
    assert asked == [(0, CHUNK), (CHUNK, CHUNK), (2 * CHUNK, 3)]
    np.testing.assert_array_equal(predictions.classes, classes)
    assert predictions.scores.dtype == np.float32
    assert max(device.timeouts) < 200


def test_a_shard_is_placed_when_its_turn_comes():
    """Each has its own file, whose samples begin at 0."""
    device = FakeDevice(classes=[[i % 7, 7] for i in range(CHUNK + 2)])
    placed = []

    def shard(name, samples):
        return Shard(samples, lambda: placed.append((name, len(device.commands))) or name)

    data = dataclasses.replace(evaluation(CHUNK + 5), shards=(shard("a.qbd", CHUNK + 2), shard("b.qbd", 3)))
    predictions = accuracy_trial(device, "runner", F32, data, run_s=0.01)
    asked = [tuple(option(a, name) for name in ("--data", "--first", "--count")) for a in device.commands]
    assert asked == [("a.qbd", "0", f"{CHUNK}"), ("a.qbd", f"{CHUNK}", "2"), ("b.qbd", "0", "3")]
    assert placed == [("a.qbd", 0), ("b.qbd", 2)]
    np.testing.assert_array_equal(predictions.classes[-3:], [[0, 7], [1, 7], [2, 7]])


@pytest.mark.parametrize("given", [CHUNK - 1, CHUNK + 1])
def test_another_number_of_samples_ends_the_trial(given):
    def miscount(argv):
        return RunResult(0, lines(option(argv, "--nonce"), *top_events([[1, 2]] * given)), b"")

    device = FakeDevice(misbehave=miscount)
    predictions = accuracy_trial(device, "runner", F32, evaluation(3 * CHUNK), run_s=0.01)
    assert len(predictions.classes) == given
    assert len(device.commands) == 1


def test_no_predictions_at_all():
    with pytest.raises(TrialError, match="no prediction"):
        accuracy_trial(FakeDevice(classes=[]), "runner", F32, evaluation(5))


def test_the_number_of_classes_must_stay_the_same():
    device = FakeDevice(classes=[[1, 2]] * CHUNK + [[1, 2, 3]])
    with pytest.raises(TrialError, match="3 classes for some samples, 2 for others"):
        accuracy_trial(device, "runner", F32, evaluation(CHUNK + 1))


# --- instructions and profile ---


def test_instructions_are_the_difference_of_two_run_counts():
    assert instructions_per_inference(FakeDevice(instructions=36_900_123), "runner", F32) == 36_900_123


def test_a_device_that_cannot_count():
    assert instructions_per_inference(FakeDevice(), "runner", F32) is None


def test_counts_that_do_not_grow_are_refused():
    with pytest.raises(TrialError, match="counting instructions"):
        instructions_per_inference(FakeDevice(instructions=0), "runner", F32)


def test_instructions_of_every_node_without_what_marking_them_costs():
    assert instructions_by_node(FakeDevice(instructions=1000), "runner", F32, 2) == [500, 500]
    assert instructions_by_node(FakeDevice(), "runner", F32, 2) is None


@pytest.mark.parametrize("nodes", [1, 3])
def test_marks_that_do_not_fit_the_nodes_are_refused(nodes):
    with pytest.raises(TrialError, match=f"marked 2 nodes of {nodes}"):
        instructions_by_node(FakeDevice(instructions=1000), "runner", F32, nodes)


def test_bandwidth_is_that_of_the_fastest_pass():
    assert bandwidth_trial(FakeDevice(), "runner", 100) == 3.0


def test_profile():
    nodes = profile_trial(FakeDevice(), "runner", F32, runs=4)
    assert [node.name for node in nodes] == ["n0", "n1"]
    assert nodes[0].ns == (7, 7, 7, 7)


def test_profile_with_another_number_of_runs():
    def fewer(argv):
        events = FakeDevice().events(["runner", "profile", "--runs", "2"])
        return RunResult(0, lines(option(argv, "--nonce"), *events), b"")

    with pytest.raises(TrialError, match="2 runs instead of 4"):
        profile_trial(FakeDevice(misbehave=fewer), "runner", F32, runs=4)


def test_a_hostile_profile_is_refused():
    def hostile(argv):
        return RunResult(
            0, lines(option(argv, "--nonce"), start("profile"), {"event": "end", "status": "ok"}), b""
        )

    with pytest.raises(TrialError, match="every node"):
        profile_trial(FakeDevice(misbehave=hostile), "runner", F32)
