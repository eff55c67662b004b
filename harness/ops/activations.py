"""Activations, alone and fused into the op before them."""

from __future__ import annotations

import numpy as np

from harness.graph import Node
from harness.ops import op

LIMITS = {
    None: (-np.inf, np.inf),
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
    "relu_n1_to_1": (-1.0, 1.0),
}


def activate(node: Node, x: np.ndarray) -> np.ndarray:
    """Applies the node's fused activation."""
    low, high = LIMITS[node.attrs.get("activation")]
    return x if low == -np.inf else np.clip(x, np.float32(low), np.float32(high))


@op("Relu", "Relu6")
class Activation:
    @staticmethod
    def infer(node, inputs):
        return [(inputs[0].shape, inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        low, high = LIMITS[node.op.lower()]
        return [np.clip(arrays[0], np.float32(low), np.float32(high))]


@op("Softmax")
class Softmax:
    """exp(beta · x) / Σ exp(beta · x) over the last axis, the maximum subtracted first."""

    @staticmethod
    def infer(node, inputs):
        return [(inputs[0].shape, inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        x = arrays[0] * np.float32(node.attrs.get("beta", 1.0))
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return [e / e.sum(axis=-1, keepdims=True)]
