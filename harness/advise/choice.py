"""Which variant to ship: constraints, the Pareto front, and the order in which what is left is preferred.

1. What fails a constraint is out, and so is what was not measured validly.
2. Post-training quantization first: a network trained with quantization stands in line only where
   post-training int8 fails a constraint, or where the hardware is fixed-point only; there it comes first,
   unless post-training int8 has more samples right.
3. Of the rest the cheapest; of those that no measurement tells from the cheapest, the smallest file; of
   files of one size, again the cheapest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.advise.evidence import POST_TRAINING, Candidate, paired_accuracy, times_as_long
from harness.comparison import ANNOUNCED

ALPHA = 0.05  # of a difference of accuracies that is called one
EXACT_TIE = 0.01  # of instructions or bytes: bench compare lets as much pass
ROUNDING = 1e-9


@dataclass(frozen=True)
class Constraints:
    """What the variant must meet. None: anything will do.

    max_drop: points of top-1 under the float variant's. budget_ms: median of one inference. max_mb: millions
    of bytes of the model file. fixed_point: no layer may compute in float.
    """

    max_drop: float | None = 1.0
    budget_ms: float | None = None
    max_mb: float | None = None
    fixed_point: bool = False


@dataclass(frozen=True)
class Check:
    """One constraint on one candidate. value: None where it was not measured, which meets nothing."""

    constraint: str
    limit: float
    value: float | None

    @property
    def met(self) -> bool:
        return self.value is not None and self.value <= self.limit + ROUNDING

    @property
    def excess(self) -> float | None:
        """By how much the limit is exceeded, in its unit; 0 where it is met."""
        return None if self.value is None else max(0.0, self.value - self.limit)


def checks(candidate: Candidate, constraints: Constraints) -> tuple[Check, ...]:
    """Every constraint that was set, in the order of the fields."""
    cell, accuracy = candidate.cell, candidate.accuracy
    times = cell.latency_ms if not cell.emulated else None
    values = {
        "max_drop": accuracy and accuracy.drop,
        "budget_ms": times and times.median,
        "max_mb": cell.size_bytes and cell.size_bytes / 1e6,
    }
    limits = {name: getattr(constraints, name) for name in values}
    found = [Check(name, limit, values[name]) for name, limit in limits.items() if limit is not None]
    if constraints.fixed_point:
        found.append(Check("fixed_point", 0, len(candidate.float_layers) if candidate.trial.layers else None))
    return tuple(found)


def meets(candidate: Candidate, constraints: Constraints) -> bool:
    return candidate.valid and all(check.met for check in checks(candidate, constraints))


def front(points: Sequence[Sequence[float]]) -> list[bool]:
    """Which points are on the Pareto front: no other is as low in every coordinate and lower in one."""

    def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
        return all(x <= y for x, y in zip(a, b, strict=True)) and tuple(a) != tuple(b)

    return [not any(dominates(other, point) for other in points) for point in points]


def pareto(candidates: Sequence[Candidate]) -> list[str]:
    """Names of the valid candidates on the front of accuracy, cost, size and energy.

    A figure counts where all of them have it: an unknown one is neither better nor worse.
    """
    valid = [candidate for candidate in candidates if candidate.valid]
    figures = [
        (-c.accuracy.top1 if c.accuracy else None, c.relative_cost, c.cell.size_bytes, c.cell.energy_mj)
        for c in valid
    ]
    known = [i for i in range(4) if all(figure[i] is not None for figure in figures)]
    on_front = front([[figure[i] for i in known] for figure in figures])
    return [candidate.name for candidate, is_on in zip(valid, on_front, strict=True) if is_on]


def choose(candidates: Sequence[Candidate], constraints: Constraints) -> Candidate | None:
    """The one to ship; None where nothing meets the constraints."""
    pool = _in_line([c for c in candidates if meets(c, constraints)], constraints.fixed_point)
    costed = [c for c in pool if c.relative_cost is not None]
    if not costed:
        return None
    cheapest = min(costed, key=lambda c: c.relative_cost)
    equal = [c for c in costed if no_dearer(c, cheapest)]
    most = (1 + EXACT_TIE) * min(c.cell.size_bytes for c in equal)
    small = [c for c in equal if c.cell.size_bytes <= most]
    return min(small, key=lambda c: (c.relative_cost, c.cell.size_bytes, -(c.cell.top1 or 0.0)))


def _in_line(pool: list[Candidate], fixed_point: bool) -> list[Candidate]:
    """Rule 2."""
    trained = [c for c in pool if c.trained]
    others = [c for c in pool if not c.trained]
    if fixed_point and trained:
        better = [c for c in others if all(more_accurate(c, own) for own in trained)]
        return better or trained
    return others if any(c.cell.arithmetic == POST_TRAINING for c in others) else pool


def more_accurate(candidate: Candidate, other: Candidate) -> bool:
    """On the samples that both have seen."""
    found = paired_accuracy(candidate.trial, other.trial)
    return found is not None and found.drop < 0


def no_dearer(candidate: Candidate, cheapest: Candidate) -> bool:
    """Whether no measurement tells their costs apart.

    They are within the tie, or the interval of their ratio holds 1; where no run has the times of both, their
    intervals beside the float variant overlap.
    """
    tie = EXACT_TIE if candidate.cell.emulated else ANNOUNCED
    if candidate.relative_cost <= (1 + tie) * cheapest.relative_cost:
        return True
    own, its = candidate.cost.interval, cheapest.cost.interval
    if own is None or its is None:
        return False
    _, direct = times_as_long(candidate.trial, cheapest.trial)
    return direct[0] <= 1 if direct else own[0] <= its[1]


def _share(check: Check) -> float:
    """By which a limit is exceeded; of a limit of nothing, the excess itself."""
    return float("inf") if check.excess is None else check.excess / (check.limit or 1.0)


def nearest(candidates: Sequence[Candidate], constraints: Constraints) -> Candidate | None:
    """The valid candidate that misses least: what the hardware cannot run comes last, then by how many
    constraints fail, then by the shares by which they do."""

    def distance(candidate: Candidate) -> tuple[bool, int, float]:
        failed = [check for check in checks(candidate, constraints) if not check.met]
        cannot_run = any(check.constraint == "fixed_point" for check in failed)
        return cannot_run, len(failed), sum(map(_share, failed))

    return min((c for c in candidates if c.valid), key=distance, default=None)
