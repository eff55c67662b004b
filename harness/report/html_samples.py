"""Raw samples made small enough to draw: a histogram per process and the percentiles that n supports.

The page says that it shows counts in bins, not runs; the runs themselves stay in the store.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness import stats
from harness.results import LatencySample

BINS = 40


def distribution(processes: Sequence[LatencySample]) -> dict | None:
    """The runs of a cell in milliseconds, in BINS bins of equal width; None without runs.

    Outliers (harness/stats.py) would squeeze the rest into one bin: they are counted in `below` and `above`
    instead of drawn. `counts` has a list per process, `quantiles` (name, value) pairs.
    """
    groups = [np.asarray(process.ns, np.float64) / 1e6 for process in processes if len(process.ns)]
    if not groups:
        return None
    runs = np.concatenate(groups)
    usual = runs[~stats.outliers(runs)]
    low, high = float(usual.min()), float(usual.max())
    if high <= low:  # every run took the same time: one bin around it
        low, high = low * 0.995, max(high * 1.005, low * 0.995 + 1e-9)
    edges = np.linspace(low, high, BINS + 1)
    return {
        "n": len(runs),
        "low": low,
        "width": (high - low) / BINS,
        "counts": [np.histogram(group, edges)[0].tolist() for group in groups],
        "below": int(np.sum(runs < low)),
        "above": int(np.sum(runs > high)),
        "quantiles": _quantiles(runs),
    }


def _quantiles(runs: np.ndarray) -> list[tuple[str, float]]:
    percentiles = [(f"p{q}", stats.percentile(runs, q)) for q in stats.RUNS_FOR_PERCENTILE]
    found = [("min", float(runs.min())), ("median", float(np.median(runs))), *percentiles]
    return [(name, value) for name, value in [*found, ("max", float(runs.max()))] if value is not None]
