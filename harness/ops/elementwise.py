"""Ops that work element by element, with broadcasting."""

from __future__ import annotations

import numpy as np

from harness.ops import op
from harness.ops.activations import activate

BINARY = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}


@op(*BINARY)
class Binary:
    defaults = {"activation": None}

    @staticmethod
    def infer(node, inputs):
        return [(np.broadcast_shapes(inputs[0].shape, inputs[1].shape), inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        return [activate(node, BINARY[node.op](*arrays))]


@op("Rsqrt")
class Rsqrt:
    @staticmethod
    def infer(node, inputs):
        return [(inputs[0].shape, inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        return [np.float32(1) / np.sqrt(arrays[0])]


@op("Identity", "PlaceholderWithDefault", "CheckNumerics", "StopGradient")
class Identity:
    @staticmethod
    def infer(node, inputs):
        return [(inputs[0].shape, inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        return [arrays[0]]


@op("Quantize", "Dequantize")
class Quantize:
    """Changes of representation; a float run passes real values through."""

    @staticmethod
    def infer(node, inputs):
        return [(inputs[0].shape, np.float32 if node.op == "Dequantize" else np.int8)]

    @staticmethod
    def reference(node, arrays):
        return [arrays[0]]
