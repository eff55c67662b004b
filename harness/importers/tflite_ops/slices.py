"""Ops that pick, split, join and repeat values: Slice, Tile, Reshape and Concatenation, alone or together."""

from __future__ import annotations

import math

import numpy as np

from harness.importers.tflite_operator import Operator, Translation, plain

Range = tuple[int, int, int]  # first, count, step


def _sliced(operator: Operator, x: str, ranges: list[Range]) -> tuple[str, list[str], dict]:
    """The Slice of x that takes these ranges."""
    begin, size, strides = (
        operator.add_const(what, list(values))
        for what, values in zip(("begin", "size", "strides"), zip(*ranges, strict=True), strict=True)
    )
    inputs = [x, begin, size] + ([strides] if any(step != 1 for _, _, step in ranges) else [])
    return "Slice", inputs, {}


def _whole(operator: Operator, x: str) -> list[Range]:
    return [(0, length, 1) for length in operator.shape(x)]


def slice_(operator: Operator) -> Translation:
    """A size of −1 reaches to the end."""
    x, *lists = operator.args(3)
    begin, size = (operator.integers(name, what) for name, what in zip(lists, ("begin", "size"), strict=True))
    shape = operator.shape(x)
    if not len(begin) == len(size) == len(shape):
        raise operator.error(f"begins at {begin} with size {size} in the shape {shape}")
    counts = [d - b if n == -1 else n for d, b, n in zip(shape, begin, size, strict=True)]
    return _sliced(operator, x, [(b, n, 1) for b, n in zip(begin, counts, strict=True)])


def _strided_range(length: int, begin: int | None, end: int | None, step: int, single: bool) -> Range:
    if single:
        first = (0 if step > 0 else length - 1) if begin is None else begin
        return (first + length if first < 0 else first), 1, 1
    first, stop, step = slice(begin, end, step).indices(length)
    return first, len(range(first, stop, step)), step


def strided_slice(operator: Operator) -> Translation:
    """TensorFlow's masks: bit i of each is about number i of begin, end and strides
    (tensorflow/core/util/strided_slice_op.cc). An ellipsis for no axis is refused: TFLite's kernel takes it
    for one, and no more slices what was meant.
    """
    x, *lists = operator.args(4)
    begin, end, strides = (operator.integers(name, "a bound") for name in lists)
    options, shape = operator.required("StridedSliceOptions"), operator.shape(x)
    ellipsis, new_axis = options.EllipsisMask(), options.NewAxisMask()
    taking = sum(1 for i in range(len(begin)) if not (ellipsis | new_axis) >> i & 1)
    if not len(begin) == len(end) == len(strides) or 0 in strides or options.Offset() or taking > len(shape):
        raise operator.error(f"slices from {begin} to {end} by {strides}, which is not supported")
    ranges: list[Range] = []
    kept: list[int] = []
    for i, bounds in enumerate(zip(begin, end, strides, strict=True)):
        if ellipsis >> i & 1:
            rest = shape[len(ranges) : len(shape) - taking]
            if not rest:
                raise operator.error(f"has an ellipsis that stands for no axis of {shape}: leave it out")
            ranges += [(0, length, 1) for length in rest]
            kept += rest
        elif new_axis >> i & 1:
            kept.append(1)
        else:
            taking -= 1
            first = None if options.BeginMask() >> i & 1 else bounds[0]
            last = None if options.EndMask() >> i & 1 else bounds[1]
            single = bool(options.ShrinkAxisMask() >> i & 1)
            ranges.append(_strided_range(shape[len(ranges)], first, last, bounds[2], single))
            kept += [] if single else [ranges[-1][1]]
    rest = shape[len(ranges) :]
    ranges += [(0, length, 1) for length in rest]
    op, inputs, attrs = _sliced(operator, x, ranges)
    if [*kept, *rest] == [count for _, count, _ in ranges]:
        return op, inputs, attrs
    return "Reshape", [operator.insert(op, "sliced", inputs, attrs)], {"shape": (*kept, *rest)}


def reverse(operator: Operator) -> Translation:
    x, axes = operator.args(2)
    ranges = _whole(operator, x)
    for axis in operator.integers(axes, "the axes"):
        axis = operator.axis(axis, len(ranges))
        ranges[axis] = (ranges[axis][1] - 1, ranges[axis][1], -1)
    return _sliced(operator, x, ranges)


# --- one into many, many into one ---


def _split(operator: Operator, x: str, axis: int, sizes: list[int]) -> None:
    """One Slice for each output."""
    ranges = _whole(operator, x)
    if len(sizes) != len(operator.outputs) or sum(sizes) != ranges[axis][1] or min(sizes) < 0:
        raise operator.error(f"splits {ranges[axis][1]} values into {len(operator.outputs)} parts of {sizes}")
    first = 0
    for size, output in zip(sizes, operator.outputs, strict=True):
        ranges[axis] = (first, size, 1)
        operator.add(*_sliced(operator, x, ranges), output)
        first += size


def split(operator: Operator) -> None:
    axis, x = operator.args(2)
    (number,) = operator.integers(axis, "the axis") or [0]
    number = operator.axis(number, len(operator.shape(x)))
    _split(operator, x, number, [operator.shape(x)[number] // len(operator.outputs)] * len(operator.outputs))


def split_by_sizes(operator: Operator) -> None:
    """One size may be −1: what the others leave."""
    x, sizes, axis = operator.args(3)
    counts = operator.integers(sizes, "the sizes")
    (number,) = operator.integers(axis, "the axis") or [0]
    number = operator.axis(number, len(operator.shape(x)))
    if counts.count(-1) == 1:
        counts[counts.index(-1)] = operator.shape(x)[number] - sum(counts) - 1
    _split(operator, x, number, counts)


def unpack(operator: Operator) -> None:
    (x,), options = operator.args(1), operator.required("UnpackOptions")
    ranges = _whole(operator, x)
    axis = operator.axis(options.Axis(), len(ranges))
    shape = operator.shape(x)[:axis] + operator.shape(x)[axis + 1 :]
    if len(operator.outputs) != ranges[axis][1]:
        raise operator.error(f"unpacks {ranges[axis][1]} values into {len(operator.outputs)}")
    for i, output in enumerate(operator.outputs):
        ranges[axis] = (i, 1, 1)
        op, inputs, attrs = _sliced(operator, x, ranges)
        operator.add("Reshape", [operator.insert(op, "sliced", inputs, attrs)], {"shape": shape}, output)


def pack(operator: Operator) -> Translation:
    options, inputs = operator.required("PackOptions"), operator.args(max(1, len(operator.inputs)))
    shape = operator.shape(inputs[0])
    axis = operator.axis(options.Axis(), len(shape) + 1)
    target = {"shape": (*shape[:axis], 1, *shape[axis:])}
    parts = [operator.insert("Reshape", "part", [name], target) for name in inputs]
    return "Concatenation", parts, {"axis": axis, "activation": None}


# --- repeating ---


def _broadcast(operator: Operator, x: str, target: list[int]) -> Translation:
    shape = (*[1] * (len(target) - len(operator.shape(x))), *operator.shape(x))
    if len(shape) != len(target) or any(d not in (1, t) for d, t in zip(shape, target, strict=True)):
        raise operator.error(f"cannot broadcast {operator.shape(x)} to {target}")
    multiples = [t if d == 1 else 1 for d, t in zip(shape, target, strict=True)]
    if shape != operator.shape(x):
        x = operator.insert("Reshape", "expanded", [x], {"shape": shape})
    return "Tile", [x, operator.add_const("multiples", multiples)], {}


def broadcast_to(operator: Operator) -> Translation:
    x, shape = operator.args(2)
    return _broadcast(operator, x, operator.integers(shape, "the shape"))


def fill(operator: Operator) -> Translation:
    shape, value = operator.args(2)
    if math.prod(operator.shape(value)) != 1:
        raise operator.error(f"fills with {operator.shape(value)} values, expected one")
    target = operator.integers(shape, "the shape")
    value = operator.insert("Reshape", "value", [value], {"shape": ()})
    operator.graph.tensors[value].shape = ()
    return _broadcast(operator, value, target)


def zeros_like(operator: Operator) -> Translation:
    (x,) = operator.args(1)
    zero = operator.add_const("zero", np.zeros((), operator.graph.tensors[x].dtype))
    operator.graph.tensors[zero].quant = operator.graph.tensors[operator.outputs[0]].quant
    return _broadcast(operator, zero, list(operator.shape(x)))


# --- what the shapes alone tell ---


def shape_of(operator: Operator) -> None:
    operator.settle(np.array(operator.shape(operator.args(1)[0]), np.int64))


def rank_of(operator: Operator) -> None:
    operator.settle(np.array(len(operator.shape(operator.args(1)[0])), np.int64))


def range_(operator: Operator) -> None:
    numbers = [operator.constant(name, "a bound") for name in operator.args(3)]
    if any(n.size != 1 for n in numbers) or not numbers[2].any():
        raise operator.error("needs one number each for start, end and step, which is not 0")
    start, end, step = (n.reshape(()).item() for n in numbers)
    if (end - start) / step > MAX_RANGE:
        raise operator.error(f"counts more than {MAX_RANGE} numbers")
    operator.settle(start + step * np.arange(max(math.ceil((end - start) / step), 0)))


MAX_RANGE = 1 << 20


# --- indices ---


def gather(operator: Operator) -> Translation:
    options = operator.options("GatherOptions")
    attrs = {} if options is None else {"axis": options.Axis(), "batch_dims": options.BatchDims()}
    return "Gather", operator.args(2), attrs


def one_hot(operator: Operator) -> Translation:
    options = operator.options("OneHotOptions")
    return "OneHot", operator.args(4), {"axis": -1 if options is None else options.Axis()}


OPERATORS = {
    "SLICE": slice_,
    "STRIDED_SLICE": strided_slice,
    "REVERSE_V2": reverse,
    "SPLIT": split,
    "SPLIT_V": split_by_sizes,
    "UNPACK": unpack,
    "PACK": pack,
    "TILE": plain("Tile", 2),
    "BROADCAST_TO": broadcast_to,
    "FILL": fill,
    "ZEROS_LIKE": zeros_like,
    "SHAPE": shape_of,
    "RANK": rank_of,
    "RANGE": range_,
    "GATHER": gather,
    "GATHER_ND": plain("GatherNd", 2),
    "ONE_HOT": one_hot,
    "TOPK_V2": plain("TopK", 2),
}
