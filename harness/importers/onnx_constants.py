"""Arithmetic on shapes and constants, done while a .onnx file is read.

Exporters write the sizes of a network as small graphs over Shape; with fixed sizes all of it is known. A
node whose inputs are known is computed here by a table of NumPy functions, one line an op.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from harness.importers.onnx_source import Source
from harness.importers.onnx_tensors import DTYPES

MAX_ELEMENTS = 2**24  # of a constant that is computed; weights are in the file


def evaluate(source: Source) -> np.ndarray | None:
    """The value of a node that depends on constants and shapes alone; None where it is to be a node."""
    if source.op == "Shape":
        return np.array(source.inputs[0].shape, np.int64)[_bounds(source)]
    if source.op == "Size":
        return np.array(math.prod(source.inputs[0].shape), np.int64)
    compute = CONSTANT_OPS.get(source.op)
    if compute is None or any(value is not None and value.data is None for value in source.inputs):
        return None
    arrays = [None if value is None else value.data for value in source.inputs]
    with np.errstate(all="ignore"):
        return np.asarray(compute(source, *arrays))


def _bounds(source: Source) -> slice:
    return slice(source.attr("start", 0), source.attr("end"))


def _limited(source: Source, count: float) -> int:
    if not 0 <= count <= MAX_ELEMENTS:
        raise source.error(f"makes a constant of {count} values; at most {MAX_ELEMENTS} are made")
    return int(count)


def _filled(source: Source, shape: np.ndarray) -> np.ndarray:
    shape = tuple(int(d) for d in shape)
    _limited(source, math.prod(shape))
    value = source.attr("value")
    return np.zeros(shape, np.float32) if value is None else np.full(shape, np.reshape(value, -1)[0])


def _range(source: Source, start, limit, delta) -> np.ndarray:
    start, limit, delta = (np.reshape(n, ()) for n in (start, limit, delta))
    _limited(source, max(math.ceil((float(limit) - float(start)) / float(delta)), 0))
    return np.arange(start, limit, delta, dtype=start.dtype)


def _cast(source: Source, x: np.ndarray) -> np.ndarray:
    if source.attr("to") not in DTYPES:
        raise source.error(f"casts to type {source.attr('to')}, which is not supported")
    return x.astype(DTYPES[source.attr("to")])


def _divide(source: Source, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whole numbers are divided towards zero."""
    if a.dtype.kind == "f":
        return a / b
    return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)


def _slice(source: Source, x: np.ndarray, *_) -> np.ndarray:
    starts, ends = source.ints(1, "starts", ()), source.ints(2, "ends", ())
    axes, steps = source.ints(3, "axes") or range(len(starts)), source.ints(4, "steps") or [1] * len(starts)
    picked = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        end = None if step < 0 and end < -x.shape[axis] else end
        picked[source.axis(axis, x.ndim)] = slice(start, end, step)
    return x[tuple(picked)]


def _axes(source: Source, rank: int) -> tuple[int, ...]:
    return tuple(source.axis(a, rank) for a in source.ints(1, "axes", ()))


def _squeeze(source: Source, x: np.ndarray, *_) -> np.ndarray:
    return np.squeeze(x, _axes(source, x.ndim) or None)


def _unsqueeze(source: Source, x: np.ndarray, *_) -> np.ndarray:
    return np.expand_dims(x, _axes(source, x.ndim + len(source.ints(1, "axes", ()))))


def _reshape(source: Source, x: np.ndarray, shape: np.ndarray) -> np.ndarray:
    return x.reshape([x.shape[i] if d == 0 else d for i, d in enumerate(shape.tolist())])


def _expand(source: Source, x: np.ndarray, shape: np.ndarray) -> np.ndarray:
    target = np.broadcast_shapes(x.shape, tuple(int(d) for d in shape))
    _limited(source, math.prod(target))
    return np.broadcast_to(x, target)


def _tile(source: Source, x: np.ndarray, times: np.ndarray) -> np.ndarray:
    _limited(source, math.prod(int(d) * int(t) for d, t in zip(x.shape, times, strict=True)))
    return np.tile(x, times)


def _product(source: Source, x: np.ndarray, *_) -> np.ndarray:
    axes = _axes(source, x.ndim) or tuple(range(x.ndim))
    return np.prod(x, axis=axes, keepdims=source.flag("keepdims", 1), dtype=x.dtype)


def _arithmetic(function: Callable) -> Callable:
    """A function of two arrays whose result has their type."""

    def compute(source: Source, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        shape = np.broadcast_shapes(a.shape, b.shape)
        _limited(source, math.prod(shape))
        return function(a, b)

    return compute


def _chain(function: Callable) -> Callable:
    def compute(source: Source, first: np.ndarray, *others: np.ndarray) -> np.ndarray:
        for other in others:
            first = _arithmetic(function)(source, first, other)
        return first

    return compute


CONSTANT_OPS: dict[str, Callable] = {
    "ConstantOfShape": _filled,
    "Range": _range,
    "Cast": _cast,
    "Gather": lambda s, x, at: np.take(x, at, axis=s.attr("axis", 0)),
    "Concat": lambda s, *parts: np.concatenate(parts, axis=s.attr("axis")),
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Transpose": lambda s, x: x.transpose(s.attr("perm")),
    "Identity": lambda s, x: x,
    "Expand": _expand,
    "Tile": _tile,
    "ReduceProd": _product,
    "Add": _arithmetic(np.add),
    "Sub": _arithmetic(np.subtract),
    "Mul": _arithmetic(np.multiply),
    "Div": lambda s, a, b: _arithmetic(lambda x, y: _divide(s, x, y))(s, a, b),
    "Mod": _arithmetic(np.mod),
    "Pow": _arithmetic(lambda a, b: np.power(a, b).astype(a.dtype)),
    "Min": _chain(np.minimum),
    "Max": _chain(np.maximum),
    "Neg": lambda s, x: -x,
    "Abs": lambda s, x: np.abs(x),
    "Sqrt": lambda s, x: np.sqrt(x),
    "Floor": lambda s, x: np.floor(x),
    "Ceil": lambda s, x: np.ceil(x),
    "Equal": _arithmetic(np.equal),
    "Less": _arithmetic(np.less),
    "Greater": _arithmetic(np.greater),
    "And": _arithmetic(np.logical_and),
    "Or": _arithmetic(np.logical_or),
    "Not": lambda s, x: np.logical_not(x),
    "Where": lambda s, choice, a, b: np.where(choice, a, b),
}
