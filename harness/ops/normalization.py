"""Normalizations over the last axis."""

from __future__ import annotations

import numpy as np

from harness.ops import op

SMALLEST_NORM = 1e-6  # TFLite's: shorter vectors are divided by it


@op("L2Normalization")
class L2Normalization:
    """x / max(‖x‖₂, 1e-6)."""

    @staticmethod
    def infer(node, inputs):
        return [(inputs[0].shape, inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        norm = np.sqrt(np.square(arrays[0]).sum(axis=-1, keepdims=True, dtype=np.float32))
        return [arrays[0] / np.maximum(norm, np.float32(SMALLEST_NORM))]


@op("LogSoftmax")
class LogSoftmax:
    """x − max − log Σ exp(x − max)."""

    @staticmethod
    def infer(node, inputs):
        return [(inputs[0].shape, inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        x = arrays[0] - arrays[0].max(axis=-1, keepdims=True)
        return [x - np.log(np.exp(x).sum(axis=-1, keepdims=True))]
