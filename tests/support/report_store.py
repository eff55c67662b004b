"""Results databases for the report page: made up, but of the shape that real runs leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from devices import DeviceInfo
from harness import stats
from harness.results import Cell, EvaluationSet, Latency, LatencySample, Measurement, Predictions, RunRecord
from harness.runner_events import NodeTime
from harness.store import Store

VARIANTS = {"f32": "f32", "hybrid": "hybrid", "int8": "int8-ptq"}
SPEED = {"f32": 1.0, "hybrid": 0.7, "int8": 0.4}
LABELS = np.arange(200, dtype=np.int32) % 10


@dataclass(frozen=True)
class Plan:
    """What is in the database. slower: the release from which int8 takes 25 % longer."""

    devices: Sequence[str] = ("pi4", "pixel2", "qemu")
    models: Sequence[str] = ("mobilenet_v1_1.0_224", "solar_cells")
    releases: Sequence[str | None] = tuple(f"v0.{n}" for n in range(1, 9))
    slower: str | None = "v0.6"
    runs: int = 128
    processes: int = 3
    accuracy: bool = True
    profile: bool = True
    layer_names: Sequence[str] = tuple(f"MobilenetV1/Conv2d_{n}/Relu6" for n in range(1, 31))


def fill(path: Path, plan: Plan = Plan()) -> None:  # noqa: B008 (frozen)
    """Measures nothing, stores everything; the same database for the same plan, but for the runs' uuids."""
    rng = np.random.default_rng(5)
    with Store.open(path) as store:
        for number, release in enumerate(plan.releases):
            record = RunRecord(
                f"2026-{1 + number // 27:02}-{1 + number % 27:02}T10:00:00+00:00", "0.1.0",
                "aarch64:" + "cd" * 32, {"trial": "default"}, {"python": "3.11.2", "host": "Linux"}, release,
            )  # fmt: skip
            writer = store.new_run(record)
            for device in plan.devices:
                for weight, model in enumerate(plan.models, 1):
                    for variant in VARIANTS:
                        slow = plan.slower in plan.releases[: number + 1] and variant == "int8"
                        factor = weight * SPEED[variant] * (1.25 if slow else 1.0)
                        writer.add(_measurement(plan, device, model, variant, factor, rng))


def _measurement(
    plan: Plan, device: str, model: str, variant: str, factor: float, rng: np.random.Generator
) -> Measurement:
    emulated = device.startswith("qemu")
    info = DeviceInfo(
        device, "qemu" if emulated else "ssh", "aarch64", "cortex-a72", emulated, {"governor": "performance"}
    )
    processes = [_process(plan.runs, turn, factor, rng) for turn in range(plan.processes)]
    dataset, predictions = _predictions(variant) if plan.accuracy else (None, None)
    cell = Cell(
        device, "aarch64", "cortex-a72", emulated, None if emulated else 3, model, variant, VARIANTS[variant],
        latency_ms=_latency(processes), size_bytes=int(17e6 * SPEED[variant] ** 1.5),
        size_compressed_bytes=int(15e6 * SPEED[variant] ** 1.5), peak_memory_bytes=9_000_000,
        model_sha256="ef" * 32, instructions=int(9e8 * factor) if emulated else None,
        **_judged(device, variant),
        **({"top1": float(predictions.correct(LABELS, 1).mean()), "samples": len(LABELS),
            "dataset_sha256": dataset.sha256} if dataset else {}),
    )  # fmt: skip
    layers = _layers(plan.layer_names, factor, variant) if plan.profile else ()
    return Measurement(cell, info, processes, dataset, predictions, {"governor": "performance"}, layers)


def _judged(device: str, variant: str) -> dict:
    if device == "pixel2" and variant == "hybrid":
        return {"verdict": "invalid", "reasons": ("the device throttled during the trial (status light)",)}
    if variant == "int8":
        return {"warnings": ("unstable: standard deviation is 12% of the mean; let the device cool",)}
    return {}


def _process(runs: int, turn: int, factor: float, rng: np.random.Generator) -> LatencySample:
    ns = (1e8 * factor * (1.0 + 0.01 * turn) * rng.lognormal(0, 0.02, runs)).astype(np.int64)
    ns[:: max(runs // 3, 1)] *= 2  # a few runs that were interrupted
    return LatencySample(turn, ns, 3 * int(ns[0]), 10**6, 5, 3, "neon", 10**6, 9000, 0, 2, 12.0)


def _latency(processes: Sequence[LatencySample]) -> Latency:
    groups = [process.ns / 1e6 for process in processes]
    runs = np.concatenate(groups)
    middle = float(np.median(runs))
    return Latency(
        middle, stats.percentile(runs, 90), float(runs.min()), stats.mad(runs), len(runs),
        (min(map(np.median, groups)), max(map(np.median, groups))), 3 * middle,
    )  # fmt: skip


def _predictions(variant: str) -> tuple[EvaluationSet, Predictions]:
    wrong = {"f32": 4, "hybrid": 5, "int8": 6}[variant]
    first = np.where(np.arange(len(LABELS)) % 20 < wrong, (LABELS + 1) % 10, LABELS).astype(np.int32)
    ids = tuple(f"{n}.png" for n in range(len(LABELS)))
    return (
        EvaluationSet("pets", "ab" * 32, ids, LABELS),
        Predictions(first[:, None], np.ones((len(LABELS), 1), np.float32)),
    )


def _layers(names: Sequence[str], factor: float, variant: str) -> list[NodeTime]:
    return [
        NodeTime(i, name, "conv2d", VARIANTS[variant], "gemm_neon", 10**6 * (i % 7 + 1), 10**5,
                 tuple(int(1e6 * factor * (i % 7 + 1)) + run for run in range(5)))
        for i, name in enumerate(names)
    ]  # fmt: skip
