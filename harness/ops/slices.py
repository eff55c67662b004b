"""Ops that pick and repeat values without computing: slice, tile, gather, one-hot and the largest k."""

from __future__ import annotations

import math

import numpy as np

from harness.ops import op
from harness.ops.shapes import constant


def _positive(count) -> int:
    count = int(np.reshape(count, ()))
    if count < 1:
        raise ValueError(f"{count} is no positive number")
    return count


@op("Slice")
class Slice:
    """y[i, j, …] = x[begin₀ + i · strides₀, begin₁ + j · strides₁, …] for i < size₀, j < size₁, …

    Strides may be negative, and are 1 where the input is left out. All sizes and masks of other frameworks'
    slices, splits and reversals come down to this.
    """

    @staticmethod
    def _ranges(shape, begin, size, strides) -> list[tuple[int, int, int]]:
        strides = np.ones_like(begin) if strides is None else strides
        if not len(shape) == begin.size == size.size == strides.size:
            raise ValueError(f"begin, size and strides do not all have one number for each axis of {shape}")
        ranges = [tuple(map(int, triple)) for triple in zip(begin, size, strides, strict=True)]
        for length, (first, count, step) in zip(shape, ranges, strict=True):
            last = first + (count - 1) * step
            if count < 0 or step == 0 or (count and not (0 <= first < length and 0 <= last < length)):
                raise ValueError(f"{count} values from {first} by {step} are not in an axis of {length}")
        return ranges

    @staticmethod
    def infer(node, inputs):
        x, *lists = inputs
        begin, size, strides = (*(constant(t, "the slice's") for t in lists if t is not None), None)[:3]
        return [(tuple(count for _, count, _ in Slice._ranges(x.shape, begin, size, strides)), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        x, begin, size, strides = (*arrays, None)[:4]
        for axis, (first, count, step) in enumerate(Slice._ranges(x.shape, begin, size, strides)):
            x = np.take(x, first + np.arange(count) * step, axis)
        return [x]


@op("Tile")
class Tile:
    """x repeated multiples[i] times along each axis i, as a whole."""

    @staticmethod
    def infer(node, inputs):
        x, multiples = inputs[0], constant(inputs[1], "the multiples")
        if multiples.shape != (len(x.shape),) or np.any(multiples < 0):
            raise ValueError(f"multiples {multiples.tolist()} do not suit rank {len(x.shape)}")
        return [(tuple(int(d) * int(m) for d, m in zip(x.shape, multiples, strict=True)), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        return [np.tile(*arrays)]


@op("Gather")
class Gather:
    """y = x[…, indices, …]: each index picks a slice of x along `axis`; one out of range, the nearest.

    The first batch_dims dimensions of x and indices go together.
    """

    defaults = {"axis": 0, "batch_dims": 0}

    @staticmethod
    def axes(node, x_shape, indices_shape) -> tuple[int, int]:
        """(axis, batch_dims), not negative."""
        axis, batch = (Gather.defaults | node.attrs)["axis"], (Gather.defaults | node.attrs)["batch_dims"]
        axis = axis + len(x_shape) if axis < 0 else axis
        batch = batch + len(indices_shape) if batch < 0 else batch
        if not 0 <= batch <= axis < len(x_shape) or x_shape[:batch] != indices_shape[:batch]:
            raise ValueError(f"{x_shape} has no axis {axis} after {batch} batches as in {indices_shape}")
        if not x_shape[axis]:
            raise ValueError("there is nothing to gather from")
        return axis, batch

    @staticmethod
    def infer(node, inputs):
        x, indices = inputs
        if np.dtype(indices.dtype).kind != "i":
            raise ValueError(f"the indices '{indices.name}' are {indices.dtype}, not integers")
        axis, batch = Gather.axes(node, tuple(x.shape), tuple(indices.shape))
        return [((*x.shape[:axis], *indices.shape[batch:], *x.shape[axis + 1 :]), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        x, indices = arrays
        axis, batch = Gather.axes(node, x.shape, indices.shape)
        rows = x.reshape(-1, *x.shape[batch:])
        picks = indices.reshape(len(rows), *indices.shape[batch:])
        y = [np.take(row, pick, axis - batch, mode="clip") for row, pick in zip(rows, picks, strict=True)]
        return [np.stack(y).reshape(*x.shape[:axis], *indices.shape[batch:], *x.shape[axis + 1 :])]


@op("GatherNd")
class GatherNd:
    """y[i, …] = x[indices[i, 0], indices[i, 1], …]. An index out of range reads the nearest."""

    @staticmethod
    def infer(node, inputs):
        x, indices = inputs
        if np.dtype(indices.dtype).kind != "i" or not indices.shape:
            raise ValueError(f"'{indices.name}' is {indices.dtype}{indices.shape}, not rows of integers")
        depth = indices.shape[-1]
        if depth > len(x.shape) or not all(x.shape[:depth]):
            raise ValueError(f"{depth} indices do not point into {x.shape}")
        return [((*indices.shape[:-1], *x.shape[depth:]), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        x, indices = arrays
        limits = np.array(x.shape[: indices.shape[-1]], np.int64) - 1
        return [x[tuple(np.moveaxis(np.clip(indices, 0, limits), -1, 0))]]


@op("OneHot")
class OneHot:
    """indices, depth const, on, off: `on` where the new axis's position equals the index, elsewhere `off`."""

    defaults = {"axis": -1}

    @staticmethod
    def axis(node, rank: int) -> int:
        """Where the new axis lies in the output, whose rank is one more than the indices'."""
        axis = node.attrs.get("axis", -1)
        axis = axis + rank + 1 if axis < 0 else axis
        if not 0 <= axis <= rank:
            raise ValueError(f"{axis} is no place for a new axis among {rank}")
        return axis

    @staticmethod
    def infer(node, inputs):
        indices, depth, on, off = inputs
        if np.dtype(indices.dtype).kind != "i" or math.prod(on.shape) != 1 or math.prod(off.shape) != 1:
            raise ValueError("needs integer indices and one value each for on and off")
        axis, shape = OneHot.axis(node, len(indices.shape)), indices.shape
        return [((*shape[:axis], _positive(constant(depth, "the depth")), *shape[axis:]), on.dtype)]

    @staticmethod
    def reference(node, arrays):
        indices, depth, on, off = arrays
        axis = OneHot.axis(node, indices.ndim)
        places = np.arange(_positive(depth)).reshape(-1, *[1] * (indices.ndim - axis))
        return [np.where(np.expand_dims(indices, axis) == places, on.reshape(()), off.reshape(()))]


@op("TopK")
class TopK:
    """x, k const: the k largest values along the last axis, falling, and their int32 indices; of equal values
    the one of the lower index comes first."""

    @staticmethod
    def infer(node, inputs):
        x, k = inputs[0], _positive(constant(inputs[1], "the number of values"))
        if not x.shape or k > x.shape[-1]:
            raise ValueError(f"there are no {k} values along the last axis of {x.shape}")
        shape = (*x.shape[:-1], k)
        return [(shape, x.dtype), (shape, np.dtype(np.int32))]

    @staticmethod
    def reference(node, arrays):
        x, k = arrays[0], _positive(arrays[1])
        rising = np.flip(np.argsort(np.flip(x, -1), axis=-1, kind="stable"), -1)  # ties: last first
        order = (x.shape[-1] - 1 - rising)[..., :k]
        return [np.take_along_axis(x, order, -1), order.astype(np.int32)]
