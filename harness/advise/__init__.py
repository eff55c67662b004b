"""Which variant of a model to ship on a device, and why. Pure: trials in, a recommendation out.

evidence.py      the figures of each variant beside the float one
choice.py        constraints, the Pareto front, the order of preference
slow_layers.py   what holds the chosen variant up
words.py         reasons and advice in plain words
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.advise import choice, words
from harness.advise.choice import Check, Constraints
from harness.advise.evidence import Candidate, Trial
from harness.advise.words import Reason


@dataclass(frozen=True)
class Judged:
    """A candidate with its checks, and whether it is on the Pareto front."""

    candidate: Candidate
    checks: tuple[Check, ...]
    pareto: bool


@dataclass(frozen=True)
class Recommendation:
    """chosen: the variant to ship, None where nothing meets the constraints; then `nearest` misses least."""

    constraints: Constraints
    judged: tuple[Judged, ...]
    chosen: Candidate | None
    nearest: Candidate | None
    reasons: tuple[Reason, ...]


def recommend(trials: Sequence[Trial], constraints: Constraints) -> Recommendation:
    """Of the trials of one model on one device, in the order of the table."""
    candidates = [Candidate(trial) for trial in trials]
    on_front = choice.pareto(candidates)
    judged = tuple(Judged(c, choice.checks(c, constraints), c.name in on_front) for c in candidates)
    chosen = choice.choose(candidates, constraints)
    if chosen is not None:
        reasons = words.of_choice(chosen, candidates, constraints)
        return Recommendation(constraints, judged, chosen, None, tuple(reasons))
    nearest = choice.nearest(candidates, constraints)
    reasons = words.of_failure(nearest, candidates, constraints)
    return Recommendation(constraints, judged, None, nearest, tuple(reasons))
