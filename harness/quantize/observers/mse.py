"""The range of least mean squared error (R. Krishnamoorthi, "Quantizing deep convolutional networks",
arXiv:1806.08342; the search is that of M. Nagel et al., "A White Paper on Neural Network Quantization",
arXiv:2106.08295, section 3.2).

Clipping costs the values beyond an end their distance to it; a narrower range rounds all others finer.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from harness.quantize.calibrate import QMAX, QMIN, Range, activation_quantization
from harness.quantize.observers import Activation

NEEDS_BINS = True
SHARES = np.linspace(1.0, 0.3, 36)  # of each end; the first pair is the whole range


def choose(seen: Activation) -> Range:
    """Never worse than the whole range: that is one of the candidates."""
    whole = seen.range
    centres, counts = seen.centres, seen.bins.astype(np.float64)
    used = counts > 0
    centres, counts = centres[used], counts[used]
    lows = whole.low * SHARES if whole.low < 0 else [whole.low]
    highs = whole.high * SHARES if whole.high > 0 else [whole.high]
    candidates = [Range(float(low), float(high)) for low, high in product(lows, highs)]
    return min(candidates, key=lambda chosen: error(chosen, centres, counts))


def error(chosen: Range, values: np.ndarray, counts: np.ndarray) -> float:
    """Sum of squared errors of int8 quantization by this range."""
    quant = activation_quantization(chosen)
    scale, zero = float(quant.scale[0]), int(quant.zero_point[0])
    levels = np.clip(np.round(values / scale) + zero, QMIN, QMAX)
    return float(counts @ ((levels - zero) * scale - values) ** 2)
