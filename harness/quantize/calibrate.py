"""From observed ranges of activations to their scales and zero points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.graph import Quantization

QMIN, QMAX = -128, 127


@dataclass(frozen=True)
class Range:
    """Smallest and largest value that an activation took."""

    low: float
    high: float

    def union(self, other: Range) -> Range:
        return Range(min(self.low, other.low), max(self.high, other.high))


def activation_quantization(seen: Range) -> Quantization:
    """Asymmetric int8 quantization of a range widened to contain zero, which is then exactly representable.

    scale = (high − low) / 255, zero point = round(−128 − low / scale) (TFLite quantization specification).
    """
    low, high = min(seen.low, 0.0), max(seen.high, 0.0)
    scale = np.float32((high - low) / (QMAX - QMIN))
    if scale < np.finfo(np.float32).tiny:  # the activation was always zero
        return Quantization(np.float32(1.0), np.int32(0))
    zero_point = np.clip(np.round(QMIN - low / np.float64(scale)), QMIN, QMAX)
    return Quantization(scale, np.int32(zero_point))
