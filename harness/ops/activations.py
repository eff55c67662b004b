"""Activations, alone and fused into the op before them."""

from __future__ import annotations

import numpy as np
from scipy import special

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


@op("Relu", "Relu6", "ReluN1To1")
class Activation:
    @staticmethod
    def infer(node, inputs):
        return [(inputs[0].shape, inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        low, high = LIMITS["relu_n1_to_1" if node.op == "ReluN1To1" else node.op.lower()]
        return [np.clip(arrays[0], np.float32(low), np.float32(high))]


@op("Softmax")
class Softmax:
    """exp(beta · x) / Σ exp(beta · x) over the last axis, the maximum subtracted first."""

    defaults = {"beta": 1.0}

    @staticmethod
    def infer(node, inputs):
        return [(inputs[0].shape, inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        x = arrays[0] * np.float32(node.attrs.get("beta", 1.0))
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return [e / e.sum(axis=-1, keepdims=True)]


def _swish(x):
    return x * special.expit(x)


def _hard_swish(x):
    return x * np.clip(x + np.float32(3), np.float32(0), np.float32(6)) / np.float32(6)


def _elu(x):
    return np.where(x < 0, np.expm1(np.minimum(x, 0)), x)


CURVES = {
    "Elu": _elu,  # Clevert et al. 2015
    "Logistic": special.expit,
    "Tanh": np.tanh,
    "Erf": special.erf,
    "Swish": _swish,  # Ramachandran et al. 2017
    "HardSwish": _hard_swish,  # Howard et al. 2019
}


@op(*CURVES)
class Curve:
    @staticmethod
    def infer(node, inputs):
        return [(inputs[0].shape, inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        return [CURVES[node.op](arrays[0]).astype(np.float32)]


@op("Gelu")
class Gelu:
    """x · Φ(x) (Hendrycks, Gimpel 2016); where approximate, Φ(x) = ½ (1 + tanh(√(2/π) (x + 0.044715 x³)))."""

    defaults = {"approximate": False}

    @staticmethod
    def infer(node, inputs):
        return [(inputs[0].shape, inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        x = arrays[0].astype(np.float64)
        if node.attrs.get("approximate"):
            phi = (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2
        else:
            phi = special.ndtr(x)
        return [(x * phi).astype(np.float32)]


@op("LeakyRelu")
class LeakyRelu:
    """x where it is positive, else alpha · x."""

    defaults = {"alpha": 0.01}

    @staticmethod
    def infer(node, inputs):
        return [(inputs[0].shape, inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        x = arrays[0]
        return [np.where(x > 0, x, x * np.float32(node.attrs.get("alpha", 0.01)))]


@op("Prelu")
class Prelu:
    """LeakyRelu with a tensor of factors, which broadcasts to x."""

    @staticmethod
    def infer(node, inputs):
        x, alpha = inputs
        if np.broadcast_shapes(x.shape, alpha.shape) != tuple(x.shape):
            raise ValueError(f"alpha {alpha.shape} does not broadcast to {x.shape}")
        return [(x.shape, x.dtype)]

    @staticmethod
    def reference(node, arrays):
        x, alpha = arrays
        return [np.where(x >= 0, x, x * alpha)]
