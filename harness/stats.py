"""The statistics behind every number in the table. What the data does not bear is None.

Times are in the unit they come in. A "group" is the runs of one process: runs inside one process are
autocorrelated, so processes, not runs, are what an interval is taken over (Kalibera & Jones, "Rigorous
Benchmarking in Reasonable Time", ISMM 2013).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Smallest sample that supports a percentile at 99 % confidence (MLPerf LoadGen's early-stopping rule).
RUNS_FOR_PERCENTILE = {90: 64, 95: 130, 99: 662}
RESAMPLES = 1000
RESAMPLED_RUNS = 3000
SEED = 20180831
OUTLIER_MADS = 14.826  # hyperfine: ten standard deviations of normal noise, of which one is 1.4826 MAD


def percentile(values: np.ndarray, q: int) -> float | None:
    """The q-th percentile, q in RUNS_FOR_PERCENTILE; None where there are too few values to state it."""
    return float(np.percentile(values, q)) if len(values) >= RUNS_FOR_PERCENTILE[q] else None


def mad(values: np.ndarray) -> float:
    """Median absolute deviation from the median, unscaled."""
    return float(np.median(np.abs(values - np.median(values))))


def median_interval(groups: Sequence[np.ndarray], confidence: float = 0.95) -> tuple[float, float] | None:
    """Bootstrap interval of the median over processes; None for fewer than two.

    Hierarchical percentile bootstrap: draw as many processes as there are with replacement, from each draw
    its number of runs with replacement, take the median of all; the seed is fixed. With three processes the
    interval spans about the lowest to the highest process median and covers the true median in about 75 % of
    cases (1 − 2·½³), not 95 %: it shows the spread between processes, and more processes make it honest. Long
    groups are thinned to evenly spaced order statistics first, RESAMPLED_RUNS together, which keeps their
    distribution and can only widen the interval.
    """
    if len(groups) < 2:
        return None
    stride = -(-sum(map(len, groups)) // RESAMPLED_RUNS)
    thinned = [np.sort(group)[(len(group) - 1) % stride // 2 :: stride] for group in groups]
    runs, sizes = np.concatenate(thinned), np.array([len(group) for group in thinned])
    starts = np.cumsum(sizes) - sizes
    rng = np.random.default_rng(SEED)
    medians = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        drawn = rng.integers(len(sizes), size=len(sizes))
        start, size = (np.repeat(values[drawn], sizes[drawn]) for values in (starts, sizes))
        medians[i] = np.median(runs[start + rng.integers(size)])
    tail = (1 - confidence) / 2
    low, high = np.quantile(medians, [tail, 1 - tail])
    return float(low), float(high)


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a share such as top-1; n must be positive."""
    interval = _binomial_test(successes, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a positive sample scores above a negative one, ties half.

    scores (n,), positive bool (n,) with at least one of each. It is the Mann-Whitney U statistic over the
    number of pairs (J. Hanley, B. McNeil, Radiology 143, 1982).
    """
    positive = np.asarray(positive, bool)
    negatives = np.sort(scores[~positive])
    below = [np.searchsorted(negatives, scores[positive], side) for side in ("left", "right")]
    return float(np.mean(below) / len(negatives))


def auc_interval(
    area: float, positives: int, negatives: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Score interval of an area under the ROC curve of so many samples of each kind, both positive.

    The areas t that the measured one is within z standard errors of, with Hanley and McNeil's variance
    (Radiology 143, 1982) at t, not at the measured area, as Wilson does for a share: R. Newcombe's method 5
    (Statistics in Medicine 25, 2006). An area of 1 of few samples has an interval, too.
    """
    from scipy import (
        optimize,
        special,
    )  # here, because importing them takes half a second, before every trial

    z, pairs, others = (
        special.ndtri((1 + confidence) / 2),
        positives * negatives,
        (positives + negatives) / 2 - 1,
    )

    def beyond(t: float) -> float:
        variance = t * (1 - t) * (1 + others * ((1 - t) / (2 - t) + t / (1 + t))) / pairs
        return (area - t) ** 2 - z**2 * variance

    aside = 1e-9  # of the area itself, where an area of 0 or 1 has a second, trivial root
    low = optimize.brentq(beyond, 0, area - aside) if area > 0 else 0.0
    high = optimize.brentq(beyond, area + aside, 1) if area < 1 else 1.0
    return float(low), float(high)


def mcnemar(correct_a: np.ndarray, correct_b: np.ndarray) -> float:
    """Two-sided p-value of McNemar's exact test on paired predictions, bool (n,) each, in the same order.

    Only samples on which the two disagree count: under the null hypothesis each is a fair coin.
    """
    a, b = np.asarray(correct_a, bool), np.asarray(correct_b, bool)
    if a.shape != b.shape:
        raise ValueError(f"paired predictions differ in number: {a.shape} and {b.shape}")
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    if only_a + only_b == 0:
        return 1.0
    return float(_binomial_test(only_a, only_a + only_b).pvalue)


def _binomial_test(successes: int, n: int):
    """SciPy's exact test of a share against one half."""
    from scipy import stats  # here, because importing it takes half a second, before every trial

    return stats.binomtest(successes, n, 0.5)


def outliers(values: np.ndarray) -> np.ndarray:
    """bool (n,): |x − median| / MAD > 14.826, flagged and never deleted.

    A MAD under 0.1 % of the median is the clock's grain, not the spread, and counts as 0.1 %.
    """
    middle = np.median(values)
    return np.abs(values - middle) > OUTLIER_MADS * max(mad(values), 1e-3 * abs(middle))


def instability_warnings(ns: np.ndarray) -> list[str]:
    """pyperf's checks on all timed runs of a cell, ns (n,); each warning names its fix."""
    mean, found = float(np.mean(ns)), []
    spread = float(np.std(ns)) / mean
    if spread >= 0.10:
        found.append(
            f"unstable: standard deviation is {spread:.0%} of the mean; "
            "set the governor to performance, let the device cool, or run longer with --trial release"
        )
    low, high = float(np.min(ns)) / mean, float(np.max(ns)) / mean
    if low <= 0.5 or high >= 1.5:
        found.append(
            f"wide: runs span {low:.0%} to {high:.0%} of the mean; "
            "look at the raw samples, and stop other programs on the device"
        )
    if np.min(ns) < 1e6:
        found.append(
            "short: a run can take less than 1 ms, so timer interrupts weigh in; "
            "judge by median and minimum, and run longer with --trial release"
        )
    if flagged := int(np.sum(outliers(ns))):
        found.append(
            f"outliers: {flagged} of {len(ns)} runs lie more than 14.8 MAD from the median (kept); "
            "look at the raw samples"
        )
    return found
