"""Statistics of two releases: tests, corrections, intervals; harness/regression.py applies them to cells.

A "value" of a latency is the median of one process. Runs inside a process are autocorrelated, so they are not
independent observations; processes are (Kalibera & Jones, "Rigorous Benchmarking in Reasonable Time",
ISMM 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats

from harness.stats import SEED

LATENCY_ALPHA = 0.002
LEAST_VALUES = 7  # a side: with 6 and 6 no data at all gives p < 0.002
CONFIDENCE = 0.99
RESAMPLES = 4000
SLOWDOWN = 0.05  # the change of a latency that has to be found
ANNOUNCED = SLOWDOWN / 2  # the least change that is announced
SUSPECTED = 0.015  # at the first look, which may be wrong: it costs no more than a second one


@dataclass(frozen=True)
class Shift:
    """How the median of `new` relates to that of `base`. ratio above 1: slower.

    interval: of the ratio, bootstrapped over processes with CONFIDENCE. p: of the Mann-Whitney test.
    """

    ratio: float
    interval: tuple[float, float]
    p: float


def shift(base: np.ndarray, new: np.ndarray) -> Shift:
    """Compares two latencies by their processes' medians, (n,) and (m,), both positive and not empty.

    Percentile bootstrap of the ratio of medians: processes are drawn with replacement on either side, with a
    fixed seed.
    """
    base, new = np.asarray(base, float), np.asarray(new, float)
    rng = np.random.default_rng(SEED)
    medians = [
        np.median(values[rng.integers(len(values), size=(RESAMPLES, len(values)))], axis=1)
        for values in (base, new)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(medians[1] / medians[0], [tail, 1 - tail])
    ratio = float(np.median(new) / np.median(base))
    return Shift(ratio, (float(low), float(high)), mann_whitney(base, new))


def paired_ratio(base: np.ndarray, new: np.ndarray) -> tuple[float, tuple[float, float] | None]:
    """How many times as long `new` takes as `base`, with its 95 % interval; None of a single round.

    base, new: medians of processes, (n,) each, positive; the two of one index ran in the same round, so what
    drifts between rounds falls out of their ratio. Geometric mean of the n ratios, with Student's interval of
    the mean logarithm: honest for the usual three rounds, where a bootstrap is not (harness/stats.py).
    """
    logs = np.log(np.asarray(new, float) / np.asarray(base, float))
    middle = float(np.mean(logs))
    if len(logs) < 2:
        return float(np.exp(middle)), None
    reach = float(scipy_stats.t.ppf(0.975, len(logs) - 1) * np.std(logs, ddof=1) / np.sqrt(len(logs)))
    return float(np.exp(middle)), (float(np.exp(middle - reach)), float(np.exp(middle + reach)))


def mann_whitney(a: np.ndarray, b: np.ndarray) -> float:
    """Two-sided p-value of the Mann-Whitney U test: exact without ties, else by the normal approximation."""
    values = np.concatenate([a, b])
    if np.ptp(values) == 0:
        return 1.0
    exact = len(np.unique(values)) == len(values) and len(a) * len(b) <= 2500
    return float(scipy_stats.mannwhitneyu(a, b, method="exact" if exact else "asymptotic").pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: p-values to hold against the level of the whole family, in the same order.

    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scand. J. Statist. 6 (1979).
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = highest
    return corrected


def repeat_noise(medians: Sequence[Sequence[float]]) -> float:
    """A device's own A/A noise: how far, as a share, two measurements of one build lie apart.

    medians: of repeated measurements, one sequence per build. The 95th percentile of the distances of all
    pairs of one build; 0 where nothing was measured twice.
    """
    distances = [abs(np.log(b / a)) for group in medians for i, a in enumerate(group) for b in group[i + 1 :]]
    return float(np.expm1(np.percentile(distances, 95))) if distances else 0.0


def latency_verdict(found: Shift, p: float, bound: float = ANNOUNCED, slowdown: float = SLOWDOWN) -> str:
    """ "regressed", "improved", "no change" or "inconclusive", from a shift and its corrected p-value.

    Changed: p < LATENCY_ALPHA, the interval excludes 1, and the ratio is beyond `bound`. No change: the
    interval rules out a change by `slowdown`. Else the data do not say.

    The bound is half the slowdown that has to be found: the estimate of a slowdown of just 5 % lies below 5 %
    in every second measurement; half-way, missing it and seeing it where there is none are equally rare.
    """
    low, high = found.interval
    if p < LATENCY_ALPHA and low > 1 and found.ratio > 1 + bound:
        return "regressed"
    if p < LATENCY_ALPHA and high < 1 and found.ratio < 1 / (1 + bound):
        return "improved"
    inside = 1 / (1 + slowdown) < low and high < 1 + slowdown
    return "no change" if inside else "inconclusive"
