"""Trials of variants with chosen figures, for tests of the choice between them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from harness.advise import Trial
from harness.measure import summarize
from harness.results import Cell, EvaluationSet, LatencySample, Predictions
from harness.runner_events import NodeTime

SAMPLES = 1000
DATASET = EvaluationSet("made", "ab" * 32, tuple(map(str, range(SAMPLES))), np.zeros(SAMPLES, np.int32))
ARITHMETICS = {"f32": "f32", "f16": "f16", "hybrid": "hybrid", "int8": "int8-ptq", "qat": "int8-qat"}
INTEGER = ("int8", "qat")


def trial(
    name: str,
    *,
    wrong: int | None = 100,
    ms: Sequence[float] = (10.0, 10.0, 10.0),
    mb: float = 1.0,
    instructions: int | None = None,
    float_trial: Trial | None = None,
    layers: Sequence[NodeTime] = (),
    **changes: object,
) -> Trial:
    """wrong: the first so many of SAMPLES; None: no accuracy. ms: a process of each round.

    instructions: makes the device an emulated one.
    """
    processes = tuple(_process(turn, time) for turn, time in enumerate(ms))
    emulated = instructions is not None
    cell = Cell(
        "qemu" if emulated else "pi4", "aarch64", "cortex-a72", emulated, 3, "net", name, ARITHMETICS[name],
        latency_ms=summarize(processes), instructions=instructions, size_bytes=int(mb * 1e6),
        size_compressed_bytes=int(mb * 9e5),
        top1=None if wrong is None else 1 - wrong / SAMPLES,
    )  # fmt: skip
    classes = np.zeros((SAMPLES, 1), np.int32)
    classes[: wrong or 0] = 1
    predicted = None if wrong is None else (DATASET, Predictions(classes, np.ones((SAMPLES, 1), np.float32)))
    layers = layers or [node(0, "int8" if name in INTEGER else "f32")]
    return Trial(
        dataclasses.replace(cell, **changes), 1, 1, "2026-01-01T00:00:00+00:00", True,
        processes, predicted, layers, float_trial,
    )  # fmt: skip


def _process(turn: int, ms: float) -> LatencySample:
    return LatencySample(turn, np.full(9, int(ms * 1e6)), 1, 1, 3, 3, "neon", 100, 5000, 0, 1, 0.5)


def node(index: int, arithmetic: str = "int8", op: str = "CONV_2D", ns: int = 1000, **changes) -> NodeTime:
    made = NodeTime(index, f"layer{index}", op, arithmetic, "gemm_neon", 100_000, 1_000, (ns,))
    return dataclasses.replace(made, **changes)
