"""Trials on one device: latency, accuracy, instructions per inference, per-node profile.

Everything is measured by the deployed runner, one process per command, each with its own nonce and deadline.
A latency trial interleaves the variants so that drift hits all alike:

    round 0   f32  hybrid  int8
    round 1   int8 hybrid  f32        one process each; processes=3 makes three rounds
    round 2   f32  hybrid  int8

A variant whose process fails is out, the others go on. `harness/measure.py` turns trials into cells.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from devices import Device, DeviceInfo
from harness import runner_output
from harness.environment import State, watched
from harness.errors import DeviceError, TrialError
from harness.results import EvaluationSet, LatencySample, Predictions, Variant
from harness.runner_events import NodeTime

Progress = Callable[[str, int, int], None]  # what is being done, steps done, steps in all

TOP_K = 5
CHUNK = 256  # samples of an accuracy process: bounds its output and its deadline, and lets progress be seen
LINE_SAMPLES = 64  # that the runner may work through before it says anything
SLOWEST_RUN_S = 60.0  # assumed of a model whose latency is not known; twice what inception_v3 takes emulated
START_S = 60.0  # the longest that starting the runner and loading a model may take
SLACK = 20  # a run may be this much slower than the median before it counts as hung
COUNTED_RUNS = (1, 2)  # fewest whose difference is one warm inference
COUNTER_RUNS = 12  # of the runner's mode `counters`, warm-up included
COUNTING_SLOWDOWN = 50  # of the emulator while it counts instructions


@dataclass(frozen=True)
class TrialSettings:
    """How long a latency trial goes on. Runs and milliseconds are of a cell, over all its processes.

    Timed runs go on until min_runs and min_ms are both met, or max_ms; a slow model ended by max_ms is valid
    with floor_runs. Each process warms up for warmup_runs and warmup_ms first.
    """

    name: str
    min_runs: int
    min_ms: int
    max_ms: int
    processes: int = 3
    floor_runs: int = 20
    warmup_runs: int = 3
    warmup_ms: int = 500

    def on(self, info: DeviceInfo) -> TrialSettings:
        """The settings used on this device: QUICK under emulation, where milliseconds mean nothing."""
        if not info.emulated:
            return self
        return dataclasses.replace(QUICK, processes=min(self.processes, QUICK.processes))

    def share(self, whole: int) -> int:
        """What one process contributes to a minimum or a cap of the cell."""
        return -(-whole // self.processes)


QUICK = TrialSettings("quick", 20, 1_000, 120_000)
DEFAULT = TrialSettings("default", 128, 10_000, 120_000)
RELEASE = TrialSettings("release", 1024, 60_000, 600_000)
LENGTHS = {settings.name: settings for settings in (QUICK, DEFAULT, RELEASE)}


@dataclass
class LatencyTrial:
    """The processes of one variant, in order, and what the device said of itself while they ran.

    failure says why there are no more.
    """

    processes: list[LatencySample] = dataclasses.field(default_factory=list)
    failure: str | None = None
    states: list[State] = dataclasses.field(default_factory=list)

    def runs(self) -> np.ndarray:
        """Every timed run of every process, int64 (n,) nanoseconds."""
        return np.concatenate([process.ns for process in self.processes])


def latency_trials(
    device: Device,
    runner: str,
    variants: Sequence[Variant],
    settings: TrialSettings,
    data: str | None = None,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, LatencyTrial]:
    """Times the variants, interleaved; the result is keyed by variant name.

    runner, data: names in the device's work folder; without data the runner makes its own input. `settings`
    are taken as they are: the caller applies `settings.on(info)`.
    """
    trials = {variant.name: LatencyTrial() for variant in variants}
    for turn in range(settings.processes):
        for i, variant in enumerate(variants if turn % 2 == 0 else reversed(variants)):
            trial = trials[variant.name]
            progress(f"latency {variant.name}", turn * len(variants) + i, settings.processes * len(variants))
            if trial.failure is None:
                try:
                    with watched(device, trial.states):
                        sample = latency_process(device, runner, variant, settings, data, turn)
                    trial.processes.append(sample)
                except (DeviceError, TrialError) as error:
                    trial.failure = str(error)
    return trials


def latency_process(
    device: Device, runner: str, variant: Variant, settings: TrialSettings, data: str | None, turn: int
) -> LatencySample:
    """One process of a latency trial, its share of the cell. Raises TrialError and DeviceError."""
    nonce = runner_output.new_nonce()
    cap_ms = settings.share(settings.max_ms)
    argv = [runner, "latency", "--model", variant.remote, "--nonce", nonce]
    argv += ["--data", data] if data else []
    argv += ["--min-runs", str(settings.share(settings.min_runs))]
    argv += ["--min-ms", str(settings.share(settings.min_ms)), "--max-ms", str(cap_ms)]
    argv += ["--warmup-runs", str(settings.warmup_runs), "--warmup-ms", str(settings.warmup_ms)]
    unclocked_runs = 1 + settings.warmup_runs + 1  # cold start, warm-up, and the run that passes the cap
    timeout = START_S + (settings.warmup_ms + cap_ms) / 1000 + unclocked_runs * SLOWEST_RUN_S
    # The longest silences: load and cold start, all of the warm-up, and as many runs as fill a line.
    silence = max(START_S, settings.warmup_ms / 1000, cap_ms / 1000) + unclocked_runs * SLOWEST_RUN_S / 2
    result = device.run(argv, timeout, idle_timeout=min(silence, timeout))
    start, cold, warmup, usage, ns = runner_output.read_latency(result, nonce)
    return LatencySample(
        round=turn,
        ns=ns,
        cold_ns=cold.ns,
        load_ns=start.load_ns,
        warmup_runs=warmup.runs,
        core=start.core,
        isa=start.isa,
        arena_bytes=start.arena_bytes,
        vm_hwm_kb=usage.vm_hwm_kb,
        voluntary_switches=usage.voluntary_switches,
        involuntary_switches=usage.involuntary_switches,
        wall_s=result.wall_s,
    )


def accuracy_trial(
    device: Device,
    runner: str,
    variant: Variant,
    evaluation: EvaluationSet,
    run_s: float = SLOWEST_RUN_S,
    progress: Progress = lambda what, done, total: None,
) -> Predictions:
    """Runs every sample once, in chunks of CHUNK; run_s is the median seconds of a run, for the deadline.

    A shard is placed on the device when its turn comes. The predictions are fewer than the samples where the
    runner gave fewer: the caller judges the number. Raises TrialError and DeviceError.
    """
    classes, scores = [], []
    done = 0
    for shard in evaluation.shards:
        data = shard.place()
        for first in range(0, shard.samples, CHUNK):
            progress(f"accuracy {variant.name}", done, len(evaluation))
            count = min(CHUNK, shard.samples - first)
            samples = range(first, first + count)
            chunk = _accuracy_chunk(device, runner, variant, data, samples, evaluation.metric, run_s)
            classes.append(chunk.classes)
            scores.append(chunk.scores)
            done += count
            if len(chunk.classes) != count:
                return _joined(classes, scores)
    return _joined(classes, scores)


def _accuracy_chunk(
    device: Device, runner: str, variant: Variant, data: str, samples: range, metric: str, run_s: float
) -> Predictions:
    """The predictions of one process: of these samples of a data file, or fewer."""
    nonce = runner_output.new_nonce()
    argv = [runner, "accuracy", "--model", variant.remote, "--data", data, "--nonce", nonce]
    argv += ["--first", str(samples.start), "--count", str(len(samples)), "--top", str(TOP_K)]
    argv += ["--score", "reconstruction"] if metric == "auc" else []
    seconds = START_S + SLACK * run_s * len(samples)
    silence = START_S + SLACK * run_s * min(LINE_SAMPLES, len(samples))
    result = device.run(argv, seconds, idle_timeout=silence)
    return Predictions(*runner_output.read_accuracy(result, nonce, samples.start))


def _joined(classes: list[np.ndarray], scores: list[np.ndarray]) -> Predictions:
    """All chunks as one; those without a sample have no number of classes."""
    widths = {chunk.shape[1] for chunk in classes if len(chunk)}
    if not widths:
        raise TrialError("the runner gave no prediction at all")
    if len(widths) > 1:
        raise TrialError(f"the runner gives {max(widths)} classes for some samples, {min(widths)} for others")
    some = [i for i, chunk in enumerate(classes) if len(chunk)]
    return Predictions(np.concatenate([classes[i] for i in some]), np.concatenate([scores[i] for i in some]))


def instructions_per_inference(
    device: Device, runner: str, variant: Variant, run_s: float = SLOWEST_RUN_S
) -> int | None:
    """Instructions of one warm inference; None where the device cannot count.

    The processor's own counters are read, unless an emulator counts its guest's: that is the difference
    between two run counts, where start, load and the first inference fall out, and with nothing random in the
    command line the number is the same every time. Raises TrialError and DeviceError.
    """
    counts = []
    for runs in COUNTED_RUNS:
        argv = [runner, "repeat", "--model", variant.remote, "--runs", str(runs), "--nonce", "count"]
        counted = device.count_instructions(argv, START_S + SLACK * COUNTING_SLOWDOWN * run_s * runs)
        if counted is None:
            return hardware_instructions(device, runner, variant, run_s)
        counts.append(counted[-1])
    fewer, more = counts
    if more <= fewer:
        raise TrialError(
            f"counting instructions: {COUNTED_RUNS[1]} runs took {more}, {COUNTED_RUNS[0]} took {fewer}"
        )
    return (more - fewer) // (COUNTED_RUNS[1] - COUNTED_RUNS[0])


def hardware_instructions(
    device: Device, runner: str, variant: Variant, run_s: float = SLOWEST_RUN_S
) -> int | None:
    """As the processor counts them; None where it may not be asked. Raises TrialError and DeviceError."""
    nonce = runner_output.new_nonce()
    argv = [runner, "counters", "--model", variant.remote, "--nonce", nonce]
    timeout = START_S + SLACK * COUNTER_RUNS * run_s
    return runner_output.read_counters(device.run(argv, timeout), nonce).instructions


def instructions_by_node(
    device: Device, runner: str, variant: Variant, nodes: int, run_s: float = SLOWEST_RUN_S
) -> list[int] | None:
    """Guest instructions of each of the model's `nodes` in a warm inference; None where it cannot count.

    The runner marks two moments with nothing between them, which shows what a mark costs, then the end of
    every node. Raises TrialError and DeviceError.
    """
    argv = [runner, "mark", "--model", variant.remote, "--nonce", "count"]
    counted = device.count_instructions(argv, START_S + SLACK * COUNTING_SLOWDOWN * run_s)
    if counted is None:
        return None
    mark, *counts = np.diff(counted[:-1]).tolist() or [0]
    if len(counts) != nodes or min(counts) < mark:
        raise TrialError(f"counting instructions: the runner marked {len(counts)} nodes of {nodes}")
    return [count - mark for count in counts]


def bandwidth_trial(device: Device, runner: str, size: int) -> float:
    """Bytes a nanosecond at which the device reads `size` bytes again and again, the best of some passes.

    Raises TrialError and DeviceError.
    """
    nonce = runner_output.new_nonce()
    argv = [runner, "bandwidth", "--bytes", str(size), "--nonce", nonce]
    measured = runner_output.read_bandwidth(device.run(argv, START_S), nonce)
    return measured.bytes / min(measured.ns)


def profile_trial(
    device: Device, runner: str, variant: Variant, runs: int = 10, run_s: float = SLOWEST_RUN_S
) -> list[NodeTime]:
    """Every node in execution order, each timed `runs` times. Raises TrialError and DeviceError."""
    nonce = runner_output.new_nonce()
    argv = [runner, "profile", "--model", variant.remote, "--runs", str(runs), "--nonce", nonce]
    nodes = runner_output.read_profile(device.run(argv, START_S + SLACK * run_s * runs), nonce)
    if len(nodes[0].ns) != runs:
        raise TrialError(f"the runner's profile has {len(nodes[0].ns)} runs instead of {runs}")
    return nodes
