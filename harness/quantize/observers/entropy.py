"""The range whose quantized values keep most of what the distribution says: least Kullback-Leibler divergence
(S. Migacz, "8-bit Inference with TensorRT", GTC 2017).
"""

from __future__ import annotations

import numpy as np

from harness.quantize.calibrate import QMAX, QMIN, Range
from harness.quantize.observers import Activation

NEEDS_BINS = True
LEVELS = QMAX - QMIN + 1
CANDIDATES = 64


def choose(seen: Activation) -> Range:
    """Both ends are cut by the same share of their distance from zero."""
    whole, count = seen.range, len(seen.bins)
    if whole.high <= whole.low or count < LEVELS:
        return whole
    width = (whole.high - whole.low) / count
    counts = seen.bins.astype(np.float64)
    best, chosen = np.inf, whole
    for share in np.linspace(1.0, LEVELS / count, CANDIDATES):
        low, high = (
            end * share if end * sign > 0 else end for end, sign in ((whole.low, -1), (whole.high, 1))
        )
        first = int((low - whole.low) / width)
        last = min(count, max(first + LEVELS, round((high - whole.low) / width)))
        found = divergence(counts, first, last)
        if found < best:
            best, chosen = found, Range(float(low), float(high))
    return chosen


def divergence(counts: np.ndarray, first: int, last: int) -> float:
    """KL(P ‖ Q) of bins `first` to `last`: P has what lies outside in its outer bins; Q is what LEVELS
    levels keep of the bins inside, each level's mass spread evenly over those of its bins that hold any."""
    inside = counts[first:last]
    p = inside.copy()
    p[0] += counts[:first].sum()
    p[-1] += counts[last:].sum()
    level = np.arange(len(inside)) * LEVELS // len(inside)
    held = inside > 0
    mass = np.bincount(level, inside, LEVELS)
    spread = np.maximum(np.bincount(level, held, LEVELS), 1)
    q = np.where(held, (mass / spread)[level], 0.0)
    some = p > 0
    p, q = p[some] / p.sum(), np.maximum(q[some] / max(q.sum(), 1.0), 1e-12)
    return float(p @ np.log(p / q))
