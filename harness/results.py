"""What flows from trial to store to report: a `Cell` per device, model and variant, and its raw data.

A cell is a row of the table in long form and exactly one entry of `--format json`; what was not measured is
None. Raw samples and predictions travel beside it in a `Measurement`, so that a new column can be computed
for old runs.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from devices import DeviceInfo
from harness.runner_events import NodeTime
from harness.stats import auc_interval, wilson_interval

VALID, INVALID, FAILED = "valid", "invalid", "failed"
COMPUTED = ("top1_ci95", "auc_ci95")  # properties of a cell that `--format json` has among its fields


@dataclass(frozen=True)
class Variant:
    """One deployed form of a model. remote: the model file's name in the device's work folder.

    arithmetic: what the kernels compute in: "f32", "hybrid", "int8-ptq", "int8-qat" or "f16". Sizes in bytes;
    the compressed one is what an over-the-air update would carry.
    """

    name: str
    arithmetic: str
    remote: str
    model_sha256: str
    size_bytes: int
    size_compressed_bytes: int | None = None


@dataclass(frozen=True)
class Shard:
    """A part of an evaluation's data file. place: sends it where it is missing; its name on the device."""

    samples: int
    place: Callable[[], str]


@dataclass(frozen=True)
class EvaluationSet:
    """The samples behind an accuracy figure. ids: their names; labels: class index per sample, int32 (n,).

    shards: the data in the device's work folder, in order. metric: what the device is asked for, "top1" or
    "auc", whose predictions are one anomaly score a sample, of class 0. sha256 is over the data, which are
    preprocessed samples, so another preprocessing is another dataset.
    """

    name: str
    sha256: str
    ids: tuple[str, ...]
    labels: np.ndarray
    shards: Sequence[Shard] = ()
    metric: str = "top1"

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class LatencySample:
    """One process of a latency trial. ns: every timed run in order, int64 (n,), in monotonic nanoseconds.

    cold_ns is the first run, kept apart; warmup_runs followed it. core is None where nothing was pinned.
    vm_hwm_kb: peak resident memory of the process, None where the device does not say.
    """

    round: int
    ns: np.ndarray
    cold_ns: int
    load_ns: int
    warmup_runs: int
    core: int | None
    isa: str
    arena_bytes: int
    vm_hwm_kb: int | None
    voluntary_switches: int
    involuntary_switches: int
    wall_s: float


@dataclass(frozen=True)
class Predictions:
    """Top-k of every sample, highest first. classes: int32 (n, k), scores: float32 (n, k), dequantized."""

    classes: np.ndarray
    scores: np.ndarray

    def correct(self, labels: np.ndarray, k: int) -> np.ndarray:
        """bool (n,): whether the label is among the k highest."""
        return (self.classes[:, :k] == np.asarray(labels)[:, None]).any(axis=1)


@dataclass(frozen=True)
class Latency:
    """Summary in milliseconds over all processes of a cell; rules in harness/stats.py.

    median, min, mad (median absolute deviation) and p90 are of all n runs together; p90 is None below 64 runs
    and ci95, the interval of the median over processes, below 2 processes. cold_start: median over processes.
    """

    median: float
    p90: float | None
    min: float
    mad: float
    n: int
    ci95: tuple[float, float] | None
    cold_start: float


@dataclass(frozen=True)
class Cell:
    """One device × model × variant: the fields of `--format json`, in its order.

    verdict: "valid", "invalid" or "failed" with its reasons; a failed cell has no measured numbers.
    instructions: guest instructions of one inference. top1, top5: shares of `samples`. auc: area under the
    ROC curve of the samples' anomaly scores, of which `positives` are anomalies. Sizes in bytes.
    ota_delta_bytes: what turns the model file of the release before into this one (harness/ota.py).
    peak_memory_bytes: what the whole runner came to; planned_memory_bytes: all activations, where the planner
    placed them. load_ms: from opening the model file to ready, median over processes.
    """

    device: str
    arch: str
    cpu: str
    emulated: bool
    core: int | None
    model: str
    variant: str
    arithmetic: str
    verdict: str = VALID
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    latency_ms: Latency | None = None
    load_ms: float | None = None
    instructions: int | None = None
    top1: float | None = None
    top5: float | None = None
    auc: float | None = None
    positives: int | None = None
    samples: int | None = None
    dataset_sha256: str | None = None
    size_bytes: int | None = None
    size_compressed_bytes: int | None = None
    ota_delta_bytes: int | None = None
    peak_memory_bytes: int | None = None
    planned_memory_bytes: int | None = None
    energy_mj: float | None = None
    model_sha256: str | None = None

    @property
    def top1_ci95(self) -> tuple[float, float] | None:
        """What the samples say of all that could have been drawn: top-1's 95 % Wilson interval."""
        if self.top1 is None or not self.samples:
            return None
        return wilson_interval(round(self.top1 * self.samples), self.samples)

    @property
    def auc_ci95(self) -> tuple[float, float] | None:
        """The same of an area under the ROC curve: its 95 % score interval."""
        if self.auc is None or not self.positives or not self.samples or self.samples <= self.positives:
            return None
        return auc_interval(self.auc, self.positives, self.samples - self.positives)

    def as_json(self) -> dict:
        """Plain dicts, lists and numbers, ready for json.dumps; with what is computed from them last."""
        return json.loads(json.dumps(asdict(self) | {name: getattr(self, name) for name in COMPUTED}))


@dataclass(frozen=True)
class Measurement:
    """A cell with the raw data it was computed from, committed to the store as one.

    info: the device, with its facts (governor, boot_id, …) before the trial; after: its facts afterwards.
    layers: the profile, every node in execution order.
    """

    cell: Cell
    info: DeviceInfo
    processes: Sequence[LatencySample] = ()
    dataset: EvaluationSet | None = None
    predictions: Predictions | None = None
    after: dict[str, str] = field(default_factory=dict)
    layers: Sequence[NodeTime] = ()


def _new_uuid() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True)
class RunRecord:
    """One call of `bench run`. started: ISO 8601 UTC. settings, environment: what a repetition needs.

    release: the label under which the run is compared. uuid: the run's identity in every database it gets to.
    """

    started: str
    bench_version: str
    runtime_sha256: str
    settings: dict[str, object] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    release: str | None = None
    uuid: str = field(default_factory=_new_uuid)
