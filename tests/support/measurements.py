"""Measurements with every field filled, for tests of what stores and carries them."""

from __future__ import annotations

import uuid
from dataclasses import replace

import numpy as np

from devices import DeviceInfo
from harness.records import Entry, plain
from harness.results import Cell, EvaluationSet, Latency, LatencySample, Measurement, Predictions, RunRecord
from harness.runner_events import NodeTime

RUN = RunRecord(
    "2026-01-02T03:04:05+00:00", "0.1.0", "cd" * 32, {"trial": "quick"}, {"python": "3.11"}, "v1.0"
)
INFO = DeviceInfo("pi4", "ssh", "aarch64", "cortex-a72", False, {"governor": "performance", "boot_id": "x"})
CELL = Cell(
    device="pi4", arch="aarch64", cpu="cortex-a72", emulated=False, core=3, model="tiny", variant="int8",
    arithmetic="int8-ptq", verdict="invalid", reasons=("one", "two"), warnings=("three",),
    latency_ms=Latency(1.5, None, 1.25, 0.1, 7, (1.4, 1.6), 3.0), instructions=2**40, top1=0.5, top5=None,
    load_ms=8e-6, samples=2, dataset_sha256="ab" * 32, size_bytes=1000, size_compressed_bytes=900,
    peak_memory_bytes=2**33, planned_memory_bytes=100, energy_mj=None, model_sha256="ef" * 32,
)  # fmt: skip
DATASET = EvaluationSet("pets", "ab" * 32, ("a.png", "größe\n.png"), np.array([1, 0], np.int32))
PREDICTIONS = Predictions(
    np.array([[1, 2], [3, 0]], np.int32), np.array([[0.9, 0.1], [0.5, 0.25]], np.float32)
)


def another_run() -> RunRecord:
    """RUN once more, as another call of `bench run`."""
    return replace(RUN, uuid=uuid.uuid4().hex)


def process(turn: int) -> LatencySample:
    ns = np.arange(1, 8) * 2**40 + turn
    return LatencySample(turn, ns, 9, 8, 3, 3, "neon", 100, 5000, 0, 1, 0.5)


def node(index: int) -> NodeTime:
    return NodeTime(index, f"conv{index}", "CONV_2D", "int8", "neon", 2**40, 2**33, (2**41, 5 + index))


def measurement(model: str = "tiny") -> Measurement:
    after = {"governor": "powersave"}
    processes, layers = (process(0), process(1)), (node(0), node(1))
    return Measurement(replace(CELL, model=model), INFO, processes, DATASET, PREDICTIONS, after, layers)


def failed(model: str = "broken") -> Measurement:
    """A cell without any number or raw data."""
    absent = dict.fromkeys(
        ("latency_ms", "load_ms", "top1", "samples", "dataset_sha256", "core", "planned_memory_bytes")
    )
    cell = replace(CELL, model=model, verdict="failed", **absent)
    return Measurement(cell, INFO)


def contents(value: Measurement | Entry) -> dict:
    """Everything in it, in a form that can be compared."""
    return plain(value)
