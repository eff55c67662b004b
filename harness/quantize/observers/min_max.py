"""All that was seen (B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018, arXiv:1712.05877)."""

from __future__ import annotations

from harness.quantize.calibrate import Range
from harness.quantize.observers import Activation


def choose(seen: Activation) -> Range:
    return seen.range
