"""What was measured of each variant, held against the float one: the figures that a choice rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from harness import stats
from harness.comparison import paired_ratio
from harness.results import VALID, Cell, EvaluationSet, LatencySample, Predictions
from harness.runner_events import NodeTime

FLOAT, POST_TRAINING, TRAINED = "f32", "int8-ptq", "int8-qat"  # arithmetics
FIXED_POINT = ("int8", "int16")  # arithmetics of a layer


@dataclass(frozen=True)
class Trial:
    """One variant as the store has it. reused: measured before this call.

    float_trial: the float variant's, of the same run where times are compared; None where there is none.
    """

    cell: Cell
    cell_id: int
    run_id: int
    started: str
    reused: bool
    processes: Sequence[LatencySample] = ()
    predicted: tuple[EvaluationSet, Predictions] | None = None
    layers: Sequence[NodeTime] = ()
    float_trial: Trial | None = field(default=None, repr=False)

    @cached_property
    def correct(self) -> np.ndarray | None:
        """bool (n,): which samples' best class is right; None where that was not measured."""
        if self.predicted is None or self.cell.top1 is None:
            return None
        dataset, predictions = self.predicted
        return predictions.correct(dataset.labels, 1)

    @property
    def reference(self) -> Trial | None:
        """What it is held against; the float variant against itself."""
        return self if self.cell.arithmetic == FLOAT else self.float_trial

    @property
    def isa(self) -> str | None:
        """The instruction set whose kernels ran."""
        return self.processes[0].isa if self.processes else None


@dataclass(frozen=True)
class Accuracy:
    """Of one variant beside another on the same samples. p: McNemar's exact test.

    drop: points of top-1 (hundredths) by which the variant is lower. lost: samples that only the other has
    right; won: only this one.
    """

    top1: float
    other_top1: float
    samples: int
    drop: float
    lost: int
    won: int
    p: float


def paired_accuracy(trial: Trial, other: Trial | None) -> Accuracy | None:
    """None where either was not predicted, or not on the same samples."""
    if other is None or trial.correct is None or other.correct is None:
        return None
    if trial.predicted[0].sha256 != other.predicted[0].sha256:
        return None
    own, its = trial.correct, other.correct
    lost, won = int(np.sum(its & ~own)), int(np.sum(own & ~its))
    share, other_share = float(own.mean()), float(its.mean())
    drop = 100 * (lost - won) / len(own)
    return Accuracy(share, other_share, len(own), drop, lost, won, stats.mcnemar(its, own))


@dataclass(frozen=True)
class Cost:
    """What one inference takes: "ms", or "instructions" where the device is emulated.

    ratio: to the float variant's, with the 95 % interval of times (None: a count is exact, or one round).
    """

    unit: str
    value: float
    ratio: float | None = None
    interval: tuple[float, float] | None = None


def cost_of(trial: Trial) -> Cost | None:
    """None where it was not measured."""
    return _instructions(trial) if trial.cell.emulated else _time(trial)


def _instructions(trial: Trial) -> Cost | None:
    count = trial.cell.instructions
    if count is None:
        return None
    base = trial.reference and trial.reference.cell.instructions
    return Cost("instructions", count, count / base if base else None)


def _time(trial: Trial) -> Cost | None:
    if trial.cell.latency_ms is None:
        return None
    return Cost("ms", trial.cell.latency_ms.median, *times_as_long(trial, trial.reference))


def times_as_long(trial: Trial, other: Trial | None) -> tuple[float | None, tuple[float, float] | None]:
    """The ratio of their times in rounds of one run, with its 95 % interval; None for what is not known."""
    if other is None or other.run_id != trial.run_id:
        return None, None
    own, its = _round_medians(trial), _round_medians(other)
    rounds = sorted(own.keys() & its.keys())
    if not rounds:
        return None, None
    return paired_ratio(*(np.array([side[r] for r in rounds]) for side in (its, own)))


def _round_medians(trial: Trial) -> dict[int, float]:
    return {process.round: float(np.median(process.ns)) for process in trial.processes if len(process.ns)}


@dataclass(frozen=True)
class Candidate:
    """A variant with the figures that it is judged by. accuracy: against the float variant."""

    trial: Trial

    @property
    def cell(self) -> Cell:
        return self.trial.cell

    @property
    def name(self) -> str:
        return self.cell.variant

    @property
    def trained(self) -> bool:
        return self.cell.arithmetic == TRAINED

    @property
    def valid(self) -> bool:
        return self.cell.verdict == VALID

    @cached_property
    def accuracy(self) -> Accuracy | None:
        return paired_accuracy(self.trial, self.trial.reference)

    @cached_property
    def cost(self) -> Cost | None:
        return cost_of(self.trial)

    @property
    def relative_cost(self) -> float | None:
        """By which candidates are ranked: times of different runs compare only through the float variant."""
        if self.cost is None:
            return None
        return self.cost.value if self.cost.ratio is None else self.cost.ratio

    @property
    def float_layers(self) -> list[str]:
        """Names of the layers that do not compute in integers."""
        return [node.name for node in self.trial.layers if node.arithmetic not in FIXED_POINT]
