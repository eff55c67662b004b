"""The exponential moving average of the samples' extremes, which forgets outliers (Jacob et al. 2018,
arXiv:1712.05877, section 3.1, where it runs over training batches)."""

from __future__ import annotations

import numpy as np

from harness.errors import UsageError
from harness.quantize.calibrate import Range
from harness.quantize.observers import Activation


def choose(seen: Activation, momentum: float = 0.9) -> Range:
    """momentum: the share that the average keeps at each sample, 0 to below 1. Samples in their order."""
    if not 0 <= momentum < 1:
        raise UsageError(f"moving_average: momentum={momentum} is not at least 0 and below 1")
    average = seen.samples[0]
    for extremes in seen.samples[1:]:
        average = momentum * average + (1 - momentum) * extremes
    return Range(*np.asarray(average, np.float64).tolist())
