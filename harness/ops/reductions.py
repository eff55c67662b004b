"""Reductions over axes, the places of extremes, and running sums."""

from __future__ import annotations

import numpy as np

from harness.ops import op
from harness.ops.shapes import constant


def _axes(axes, rank: int) -> tuple[int, ...]:
    """Axes counted from the front; a scalar has none to name."""
    axes = tuple(int(a) for a in np.atleast_1d(axes))
    if rank and any(not -rank <= a < rank for a in axes):
        raise ValueError(f"axes {axes} of a tensor of rank {rank}")
    return tuple(sorted({a % rank for a in axes})) if rank else ()


def _axis(tensor_or_array, rank: int) -> int:
    values = np.atleast_1d(tensor_or_array)
    if values.size != 1 or not -rank <= int(values[0]) < rank:
        raise ValueError(f"axis {values.tolist()} of a tensor of rank {rank}")
    return int(values[0]) % rank


def _mean(x, **how):
    if x.dtype.kind == "f":
        return x.mean(dtype=np.float32, **how)
    sums = x.sum(dtype=np.int64, **how)
    count = x.size // max(sums.size, 1)
    return (np.abs(sums) // count * np.sign(sums)).astype(x.dtype)  # toward zero


def _keeping(function):
    return lambda x, **how: function(x, dtype=x.dtype, **how)


REDUCTIONS = {
    "Mean": _mean,
    "ReduceAll": np.all,
    "ReduceAny": np.any,
    "ReduceMax": np.max,
    "ReduceMin": np.min,
    "ReduceProd": _keeping(np.prod),
    "Sum": _keeping(np.sum),
}


@op(*REDUCTIONS)
class Reduction:
    """Over the axes of the second input; those that count from the end are negative, repeats count once."""

    defaults = {"keep_dims": False}

    @staticmethod
    def infer(node, inputs):
        x = inputs[0]
        axes = _axes(constant(inputs[1], "the list of axes"), len(x.shape))
        keep = node.attrs.get("keep_dims", False)
        shape = [1 if i in axes else d for i, d in enumerate(x.shape) if keep or i not in axes]
        return [(tuple(shape), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        axes = _axes(arrays[1], arrays[0].ndim)
        keep = node.attrs.get("keep_dims", False)
        return [np.asarray(REDUCTIONS[node.op](arrays[0], axis=axes, keepdims=keep))]


@op("ArgMax", "ArgMin")
class ArgExtreme:
    """The first place of the largest or smallest value along an axis, which disappears."""

    defaults = {"dtype": "int64"}

    @staticmethod
    def infer(node, inputs):
        x = inputs[0]
        axis = _axis(constant(inputs[1], "the axis"), len(x.shape))
        shape = tuple(d for i, d in enumerate(x.shape) if i != axis)
        return [(shape, np.dtype(node.attrs.get("dtype", "int64")))]

    @staticmethod
    def reference(node, arrays):
        find = np.argmax if node.op == "ArgMax" else np.argmin
        axis = _axis(arrays[1], arrays[0].ndim)
        return [np.asarray(find(arrays[0], axis=axis)).astype(node.attrs.get("dtype", "int64"))]


@op("CumSum")
class CumSum:
    """Running sums along an axis. exclusive: without the value itself. reverse: from the end."""

    defaults = {"exclusive": False, "reverse": False}

    @staticmethod
    def infer(node, inputs):
        _axis(constant(inputs[1], "the axis"), len(inputs[0].shape))
        return [(inputs[0].shape, inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        x, axis = arrays[0], _axis(arrays[1], arrays[0].ndim)
        x = np.flip(x, axis) if node.attrs.get("reverse") else x
        sums = np.cumsum(x, axis=axis, dtype=x.dtype)
        sums = sums - x if node.attrs.get("exclusive") else sums
        return [np.flip(sums, axis) if node.attrs.get("reverse") else sums]
