"""Without the most extreme share of the values (J. McKinstry et al., "Discovering Low-Precision Networks
Close to Full-Precision Networks for Efficient Embedded Inference", arXiv:1809.04191)."""

from __future__ import annotations

import numpy as np

from harness.errors import UsageError
from harness.quantize.calibrate import Range
from harness.quantize.observers import Activation

NEEDS_BINS = True


def choose(seen: Activation, percent: float = 99.99) -> Range:
    """percent: of the values that stay inside, half of the rest being cut off at each end.

    An end at zero, as a Relu's, loses nothing. Correct to the width of a bin.
    """
    if not 50 < percent <= 100:
        raise UsageError(f"percentile: percent={percent} is not above 50 and at most 100")
    share = np.cumsum(seen.bins) / max(1, seen.bins.sum())
    whole, outside = seen.range, (1 - percent / 100) / 2
    edges = np.linspace(whole.low, whole.high, len(seen.bins) + 1)
    low = edges[np.searchsorted(share, outside, side="right")] if whole.low < 0 else whole.low
    high = (
        edges[min(np.searchsorted(share, 1 - outside) + 1, len(seen.bins))] if whole.high > 0 else whole.high
    )
    return Range(float(low), float(max(low, high)))
