"""From trials to cells: one `Measurement` per variant, with its verdict.

    valid     every rule below was met
    invalid   a number was measured but may not be trusted; it is kept, and shown marked
    failed    something broke; there is no number

Invalid: minimums unmet, wrong sample count, and what harness/environment.py finds about the device: rebooted,
throttled, too hot, its governor or frequency changed.
A warning leaves the cell valid and names a fix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from devices import Device, DeviceInfo
from harness import environment, stats
from harness.errors import DeviceError, TrialError
from harness.results import (
    FAILED,
    INVALID,
    VALID,
    Cell,
    EvaluationSet,
    Latency,
    LatencySample,
    Measurement,
    Predictions,
    Variant,
)
from harness.runner_events import NodeTime
from harness.text import clean
from harness.trial import (
    TOP_K,
    LatencyTrial,
    Progress,
    TrialSettings,
    accuracy_trial,
    instructions_by_node,
    instructions_per_inference,
    latency_trials,
    profile_trial,
)

CAPPED_SHARE = 0.5  # of the cap that runs fill when it ends them: feeding and printing lie between them
SWITCHES_PER_S = 10  # a core to itself is taken away a few times a second at most
PROFILE_RUNS = 10
EMULATED_PROFILE_RUNS = 2  # an emulator's times are not looked at
MLPERF_FLOOR = 0.98  # of the float top-1, MLPerf's quality target for a quantized model


def measure(
    device: Device,
    runner: str,
    model: str,
    variants: Sequence[Variant],
    settings: TrialSettings,
    evaluation: EvaluationSet | None = None,
    progress: Progress = lambda what, done, total: None,
    float_top1: float | None = None,
) -> Iterator[Measurement]:
    """Measures the variants of one model on one device; yields each as it is complete, the float one first.

    runner, and the `remote` of variants, are names in the device's work folder. float_top1:
    that of the float variant where it was measured earlier. Raises DeviceError only where the device cannot
    be reached to begin with.
    """
    too_hot = environment.await_cool(device, progress)
    info = device.info()
    on = _Target(device, runner, model, info, settings.on(info), evaluation, too_hot)
    data = evaluation.shards[0].place() if evaluation else None
    latency = latency_trials(device, runner, variants, on.settings, data, progress)
    for variant in sorted(variants, key=lambda v: v.arithmetic != "f32"):
        measurement = _measure_variant(on, variant, latency[variant.name], float_top1, progress)
        if variant.arithmetic == "f32":
            float_top1 = measurement.cell.top1
        yield measurement


def failed_cell(info: DeviceInfo, model: str, variant: Variant, *reasons: str) -> Cell:
    """A cell with no measured number. The model file's size and hash are facts and stay."""
    return replace(_row(info, model, variant), verdict=FAILED, reasons=tuple(map(clean, reasons)))


def _row(info: DeviceInfo, model: str, variant: Variant) -> Cell:
    """What is known of a cell before anything is measured."""
    return Cell(
        device=info.name,
        arch=info.arch,
        cpu=info.cpu,
        emulated=info.emulated,
        core=None,
        model=model,
        variant=variant.name,
        arithmetic=variant.arithmetic,
        size_bytes=variant.size_bytes,
        size_compressed_bytes=variant.size_compressed_bytes,
        model_sha256=variant.model_sha256,
    )


def summarize(processes: Sequence[LatencySample]) -> Latency:
    """The latency figures of a cell, in milliseconds, from the raw samples of its processes."""
    groups = [process.ns / 1e6 for process in processes]
    runs = np.concatenate(groups)
    return Latency(
        median=float(np.median(runs)),
        p90=stats.percentile(runs, 90),
        min=float(runs.min()),
        mad=stats.mad(runs),
        n=len(runs),
        ci95=stats.median_interval(groups),
        cold_start=float(np.median([process.cold_ns for process in processes])) / 1e6,
    )


@dataclass(frozen=True)
class _Target:
    """What all variants of a measurement have in common. info: the device as it was before the trial."""

    device: Device
    runner: str
    model: str
    info: DeviceInfo
    settings: TrialSettings
    evaluation: EvaluationSet | None
    too_hot: str | None  # why the trial should not have begun


def _measure_variant(
    on: _Target, variant: Variant, latency: LatencyTrial, float_top1: float | None, progress: Progress
) -> Measurement:
    processes, predictions = tuple(latency.processes), None
    try:
        if latency.failure is not None:
            raise TrialError(latency.failure)
        run_s = float(np.median(latency.runs())) / 1e9
        progress(f"instructions {variant.name}", 0, 0)
        instructions = instructions_per_inference(on.device, on.runner, variant, run_s)
        progress(f"profile {variant.name}", 0, 0)
        profile_runs = EMULATED_PROFILE_RUNS if on.info.emulated else PROFILE_RUNS
        layers = _profile(on, variant, profile_runs, run_s)
        if on.evaluation is not None:
            predictions = accuracy_trial(on.device, on.runner, variant, on.evaluation, run_s, progress)
        after = on.device.info().facts
    except (DeviceError, TrialError) as error:
        cell = failed_cell(on.info, on.model, variant, str(error))
        return Measurement(cell, on.info, processes)
    cell = _cell(on, variant, latency, instructions, predictions)
    disturbed = environment.disturbances(on.info.facts, latency.states, after, cell.core)
    reasons = [*unmet(processes, on.settings), *([on.too_hot] if on.too_hot else []), *disturbed]
    warnings = _warnings(on.info, cell, processes, float_top1)
    if not on.info.emulated:
        warnings = [*warnings, *environment.load_warnings(on.info.facts, after)]
    if on.evaluation is not None and cell.samples != len(on.evaluation):
        reasons.append(f"wrong sample count: {cell.samples} of {len(on.evaluation)} samples were predicted")
        predictions = None
    cell = replace(
        cell, verdict=INVALID if reasons else VALID, reasons=tuple(reasons), warnings=tuple(warnings)
    )
    dataset = on.evaluation if predictions is not None else None
    return Measurement(cell, on.info, processes, dataset, predictions, after, layers)


def _profile(on: _Target, variant: Variant, runs: int, run_s: float) -> list[NodeTime]:
    """Every node with its times and, where an emulator counts them, its instructions."""
    nodes = profile_trial(on.device, on.runner, variant, runs, run_s)
    counts = instructions_by_node(on.device, on.runner, variant, len(nodes), run_s) or [None] * len(nodes)
    return [replace(node, instructions=count) for node, count in zip(nodes, counts, strict=True)]


def _cell(
    on: _Target,
    variant: Variant,
    latency: LatencyTrial,
    instructions: int | None,
    predictions: Predictions | None,
) -> Cell:
    """The numbers, before any verdict; top1 or auc stays None where predictions do not cover every sample."""
    processes = latency.processes
    figures = summarize(processes)
    cores = {process.core for process in processes}
    cell = replace(
        _row(on.info, on.model, variant),
        core=cores.pop() if len(cores) == 1 else None,
        latency_ms=figures,
        load_ms=float(np.median([process.load_ns for process in processes])) / 1e6,
        instructions=instructions,
        energy_mj=None if on.info.emulated else environment.energy_mj(latency.states, figures.median),
        peak_memory_bytes=_peak_memory(on.info, processes),
        planned_memory_bytes=max(process.arena_bytes for process in processes),
    )
    if predictions is None:
        return cell
    count, k = predictions.classes.shape
    cell = replace(cell, samples=count, dataset_sha256=on.evaluation.sha256)
    if count != len(on.evaluation):
        return cell
    labels = on.evaluation.labels
    if on.evaluation.metric == "auc":
        area = stats.auc(predictions.scores[:, 0], labels == 1)
        return replace(cell, auc=area, positives=int(np.sum(labels == 1)))
    return replace(
        cell,
        top1=float(predictions.correct(labels, 1).mean()),
        top5=float(predictions.correct(labels, TOP_K).mean()) if k >= TOP_K else None,
    )


def _peak_memory(info: DeviceInfo, processes: Sequence[LatencySample]) -> int | None:
    """The highest of the processes; under user-mode emulation it would be the emulator's, not the guest's."""
    known = [process.vm_hwm_kb for process in processes if process.vm_hwm_kb is not None]
    return None if info.emulated or not known else max(known) * 1024


def unmet(processes: Sequence[LatencySample], settings: TrialSettings) -> Iterator[str]:
    """The minimums that a latency trial did not meet; one ended by its cap need only have floor_runs."""
    runs = sum(len(process.ns) for process in processes)
    timed_ms = sum(int(process.ns.sum()) for process in processes) / 1e6
    capped = timed_ms >= CAPPED_SHARE * settings.max_ms
    needed = min(settings.floor_runs, settings.min_runs) if capped else settings.min_runs
    if runs < needed:
        yield f"minimums unmet: {runs} runs of at least {needed} in {timed_ms / 1000:.1f} s"
    if any(process.warmup_runs < settings.warmup_runs for process in processes):
        yield f"minimums unmet: a process warmed up for less than {settings.warmup_runs} runs"
    if timed_ms < settings.min_ms:
        needed_s = settings.min_ms / 1000
        yield f"minimums unmet: {timed_ms / 1000:.2f} s of timed runs of at least {needed_s:g} s"


def _warnings(
    info: DeviceInfo, cell: Cell, processes: Sequence[LatencySample], float_top1: float | None
) -> Iterator[str]:
    if not info.emulated:  # an emulator's milliseconds are not looked at, so their quality is no news
        if cell.core is None:
            yield "not pinned to one core, so the runs may have moved; allow the runner more than one core"
        yield from _shared_core(processes)
        yield from stats.instability_warnings(np.concatenate([process.ns for process in processes]))
    compared = cell.arithmetic.startswith("int8") and cell.top1 is not None and float_top1 is not None
    if compared and cell.top1 < MLPERF_FLOOR * float_top1:
        trained = cell.arithmetic == "int8-qat"
        yield (
            f"top-1 {cell.top1:.3f} is under {MLPERF_FLOOR:.0%} of the float model's {float_top1:.3f}; "
            + (
                "use another variant, or train longer"
                if trained
                else "calibrate on more samples, or use hybrid or quantization-aware training"
            )
        )


def _shared_core(processes: Sequence[LatencySample]) -> Iterator[str]:
    """Whether other programs ran on the core: what a load average over all cores can only suggest."""
    seconds = sum(int(process.ns.sum()) for process in processes) / 1e9
    switches = sum(process.involuntary_switches for process in processes)
    if switches > SWITCHES_PER_S * seconds:
        yield (
            f"shared core: the runner was interrupted {switches / seconds:.0f} times a second; "
            "stop other programs on the device"
        )
