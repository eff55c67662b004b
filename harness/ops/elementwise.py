"""Ops that work element by element, with broadcasting; on float32 and on integers that are no codes."""

from __future__ import annotations

import numpy as np

from harness.graph import Tensor
from harness.ops import op
from harness.ops.activations import activate


def _same_dtype(*tensors: Tensor) -> np.dtype:
    """The dtype of operands that must agree in it."""
    kinds = {t.dtype for t in tensors if t.quant is None}
    if len(kinds) > 1:
        raise ValueError(f"operands of {' and '.join(sorted(map(str, kinds)))}")
    return tensors[0].dtype


def _broadcast(*tensors: Tensor) -> tuple[int, ...]:
    return np.broadcast_shapes(*(t.shape for t in tensors))


def _divide(a, b):
    """Integers are divided toward zero; by zero gives zero, as in the runtime."""
    if a.dtype.kind == "f":
        return np.divide(a, b)
    whole = np.where(b == 0, 1, b)
    quotient = np.abs(a) // np.abs(whole) * np.sign(a) * np.sign(whole)
    return np.where(b == 0, 0, quotient).astype(a.dtype)


def _floor_divide(a, b):
    """floor(a / b), rounded once: NumPy's floor_divide of floats goes by the remainder instead."""
    if a.dtype.kind == "f":
        return np.floor(a.astype(np.float64) / b).astype(a.dtype)
    return np.floor_divide(a, b)


def _square_difference(a, b):
    return np.square(a - b)


BINARY = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": _divide}
PLAIN_BINARY = {
    "FloorDiv": _floor_divide,
    "FloorMod": np.mod,  # of the divisor's sign
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Pow": np.power,
    "SquaredDifference": _square_difference,
}
COMPARISONS = {
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterEqual": np.greater_equal,
    "Less": np.less,
    "LessEqual": np.less_equal,
    "LogicalAnd": np.logical_and,
    "LogicalOr": np.logical_or,
    "NotEqual": np.not_equal,
}
UNARY = {
    "Abs": np.abs,
    "Ceil": np.ceil,
    "Cos": np.cos,
    "Exp": np.exp,
    "Floor": np.floor,
    "Log": np.log,
    "LogicalNot": np.logical_not,
    "Neg": np.negative,
    "Round": np.rint,  # ties to even
    "Sin": np.sin,
    "Sqrt": np.sqrt,
    "Square": np.square,
}


@op(*BINARY)
class Binary:
    defaults = {"activation": None}

    @staticmethod
    def infer(node, inputs):
        a, b = inputs
        return [(_broadcast(a, b), _same_dtype(a, b))]

    @staticmethod
    def reference(node, arrays):
        return [activate(node, BINARY[node.op](*arrays))]


@op(*PLAIN_BINARY)
class PlainBinary:
    @staticmethod
    def infer(node, inputs):
        a, b = inputs
        return [(_broadcast(a, b), _same_dtype(a, b))]

    @staticmethod
    def reference(node, arrays):
        return [PLAIN_BINARY[node.op](*arrays)]


@op(*COMPARISONS)
class Comparison:
    """Booleans of two operands."""

    @staticmethod
    def infer(node, inputs):
        a, b = inputs
        _same_dtype(a, b)
        return [(_broadcast(a, b), np.dtype(np.bool_))]

    @staticmethod
    def reference(node, arrays):
        return [COMPARISONS[node.op](*arrays)]


@op(*UNARY)
class Unary:
    @staticmethod
    def infer(node, inputs):
        return [(inputs[0].shape, inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        with np.errstate(all="ignore"):
            return [UNARY[node.op](arrays[0])]


@op("Rsqrt")
class Rsqrt:
    @staticmethod
    def infer(node, inputs):
        return [(inputs[0].shape, inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        return [np.float32(1) / np.sqrt(arrays[0])]


@op("Select")
class Select:
    """a where the condition holds, else b; all three broadcast."""

    @staticmethod
    def infer(node, inputs):
        condition, a, b = inputs
        if condition.dtype != np.bool_:
            raise ValueError(f"the condition is {condition.dtype}, not bool")
        return [(_broadcast(condition, a, b), _same_dtype(a, b))]

    @staticmethod
    def reference(node, arrays):
        return [np.where(*arrays)]


@op("AddN")
class AddN:
    """The sum of tensors of one shape."""

    @staticmethod
    def infer(node, inputs):
        if len({tuple(t.shape) for t in inputs}) != 1:
            raise ValueError(f"shapes {[t.shape for t in inputs]} are not alike")
        return [(inputs[0].shape, _same_dtype(*inputs))]

    @staticmethod
    def reference(node, arrays):
        return [sum(arrays[1:], start=arrays[0])]


@op("Cast")
class Cast:
    """Values of another dtype: floats toward zero, numbers but 0 true."""

    defaults = {"dtype": "float32"}

    @staticmethod
    def infer(node, inputs):
        return [(inputs[0].shape, np.dtype(node.attrs.get("dtype", "float32")))]

    @staticmethod
    def reference(node, arrays):
        dtype = np.dtype(node.attrs.get("dtype", "float32"))
        if arrays[0].dtype.kind == "f" and dtype.kind in "iu":
            limits = np.iinfo(dtype)
            return [np.clip(arrays[0].astype(np.float64), limits.min, limits.max).astype(dtype)]
        return [arrays[0].astype(dtype)]


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
