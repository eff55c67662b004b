"""Results databases with releases to compare: made up, of the shape that runs leave."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from devices import DeviceInfo
from harness.measure import summarize
from harness.results import Cell, EvaluationSet, LatencySample, Measurement, Predictions, RunRecord
from harness.store import Store

INFO = DeviceInfo("pi4", "ssh", "aarch64", "cortex-a72", False, {"governor": "performance"})
SAMPLES = 200
DATASET = EvaluationSet(
    "pets", "da" * 32, tuple(f"{i}.png" for i in range(SAMPLES)), np.zeros(SAMPLES, np.int32)
)


def processes(ms: float, count: int = 20, seed: int = 0, runs: int = 40) -> tuple[LatencySample, ...]:
    """Processes with 0.5 % of noise within and between them."""
    rng = np.random.default_rng(seed)
    times = ms * 1e6 * np.exp(rng.normal(0, 0.005, (count, 1)) + rng.normal(0, 0.005, (count, runs)))
    return tuple(
        LatencySample(turn, ns.astype(np.int64), int(3 * ns[0]), 100, 3, 3, "neon", 100, 5000, 0, 1, 0.5)
        for turn, ns in enumerate(times)
    )


def predictions(wrong: int) -> Predictions:
    """The last `wrong` samples are wrong."""
    classes = np.zeros((SAMPLES, 1), np.int32)
    classes[SAMPLES - wrong :] = 1
    return Predictions(classes, np.ones((SAMPLES, 1), np.float32))


def measurement(
    ms: float | None = 10.0,
    *,
    variant: str = "int8",
    wrong: int | None = None,
    count: int = 20,
    seed: int = 0,
    info: DeviceInfo = INFO,
    **changes: object,
) -> Measurement:
    """A valid cell of model "net". wrong: of SAMPLES predictions; without it, no accuracy."""
    timed = processes(ms, count, seed) if ms is not None else ()
    cell = Cell(
        info.name, info.arch, info.cpu, info.emulated, 3, "net", variant, variant,
        latency_ms=summarize(timed) if timed else None, size_bytes=1000, model_sha256="ab" * 32,
    )  # fmt: skip
    if wrong is not None:
        shares = {"top1": 1 - wrong / SAMPLES, "samples": SAMPLES, "dataset_sha256": DATASET.sha256}
        cell = replace(cell, **shares)
    predicted = (DATASET, predictions(wrong)) if wrong is not None else (None, None)
    return Measurement(replace(cell, **changes), info, timed, *predicted)


def add(store: Store, release: str | None, *measurements: Measurement, trial: str = "default") -> None:
    """One run of a release; each release has a runner of its own."""
    record = RunRecord(
        "2026-01-01T00:00:00+00:00", "0.1.0", f"aarch64:{release}", {"trial": trial}, release=release
    )
    writer = store.new_run(record)
    for made in measurements:
        writer.add(made)
