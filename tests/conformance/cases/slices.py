"""Ops that pick, split, join and repeat values."""

from __future__ import annotations

import numpy as np

from tests.conformance.draw import Draw, case


def moved(draw: Draw, shape) -> tuple[int, dict]:
    """An input, and the dtype and quantization of outputs that hold its values."""
    quant = draw.quant()
    return draw.input(shape, draw.dtype, quant), {"dtype": draw.dtype, "quant": quant}


@case("SLICE", "f32", "int8", "uint8", "int16", "int32", "int64", "bool")
def slice_(draw: Draw) -> None:
    shape = draw.shape(1, 5)
    begin = [draw.integer(0, d - 1) for d in shape]
    size = [-1 if draw.chance(0.2) else draw.integer(1, d - b) for d, b in zip(shape, begin, strict=True)]
    x, like = moved(draw, shape)
    dtype = draw.choice((np.int32, np.int64))
    inputs = [x, draw.const(begin, dtype), draw.const(size, dtype)]
    draw.operator("SLICE", inputs, [draw.output(**like)], "SliceOptions", 2)


def bounds(draw: Draw, length: int) -> tuple[int, int, int]:
    """(begin, end, stride) of at least one value, either counted from either end, the end possibly beyond."""
    stride = draw.choice((1, 1, 2, 3, -1, -2))
    first = draw.integer(0, length - 1)
    if stride > 0:
        end = draw.choice((draw.integer(first + 1, length), length + 3))
        return first - length * draw.integer(0, 1), end, stride
    end = draw.integer(0, first) - 1
    return first, end if end >= 0 else -length - 1, stride


@case("STRIDED_SLICE", "f32", "int8", "uint8", "int16", "int32", "int64", "bool")
def strided_slice(draw: Draw) -> None:
    shape = draw.shape(1, 4)
    taken = draw.integer(1, len(shape))
    place = draw.integer(0, taken) if draw.chance(0.3) else taken  # of an ellipsis or a new axis
    skipped = len(shape) - taken
    numbers = [bounds(draw, d) for d in (*shape[:place], *shape[place + skipped :])]
    masks = {"BeginMask": 0, "EndMask": 0, "EllipsisMask": 0, "NewAxisMask": 0, "ShrinkAxisMask": 0}
    for i, (_, _, stride) in enumerate(numbers):
        if draw.chance(0.2) and stride == 1:
            masks["ShrinkAxisMask"] |= 1 << i
            continue
        masks["BeginMask"] |= draw.chance(0.2) << i
        masks["EndMask"] |= draw.chance(0.2) << i
    if place < taken or draw.chance(0.2):
        numbers.insert(place, (0, 0, 1))
        masks = {name: (m & (1 << place) - 1) | m >> place << place + 1 for name, m in masks.items()}
        masks["EllipsisMask" if skipped else "NewAxisMask"] |= 1 << place
    x, like = moved(draw, shape)
    inputs = [x, *(draw.const(list(values)) for values in zip(*numbers, strict=True))]
    draw.operator("STRIDED_SLICE", inputs, [draw.output(**like)], "StridedSliceOptions", 4, **masks)


@case("REVERSE_V2", "f32", "int8", "uint8", "int16", "int32", "int64", "bool")
def reverse(draw: Draw) -> None:
    shape = draw.shape(1, 4)
    first = draw.integer(0, len(shape) - 1)
    axes = range(first, draw.integer(first + 1, len(shape)))  # LiteRT reverses neighbours only
    x, like = moved(draw, shape)
    draw.operator("REVERSE_V2", [x, draw.const(list(axes))], [draw.output(**like)], version=3)


@case("TRANSPOSE", "f32", "int8", "uint8", "int16", "int32", "int64", "bool")
def transpose(draw: Draw) -> None:
    shape = draw.shape(1, 6, 5)
    x, like = moved(draw, shape)
    draw.operator(
        "TRANSPOSE", [x, draw.const(draw.rng.permutation(len(shape)))], [draw.output(**like)], version=4
    )


@case("TILE", "f32", "int8", "uint8", "int16", "int32", "int64", "bool")
def tile(draw: Draw) -> None:
    shape = draw.shape(1, 4, 5)
    x, like = moved(draw, shape)
    multiples = draw.const([draw.integer(1, 3) for _ in shape], draw.choice((np.int32, np.int64)))
    draw.operator("TILE", [x, multiples], [draw.output(**like)], version=2)


@case("BROADCAST_TO", "f32", "int8", "uint8", "int16", "int32", "int64", "bool")
def broadcast_to(draw: Draw) -> None:
    target = draw.shape(1, 5, 5)
    shape = [1 if draw.chance(0.4) else d for d in target][draw.integer(0, len(target) - 1) :]
    x, like = moved(draw, shape)
    draw.operator("BROADCAST_TO", [x, draw.const(target)], [draw.output(**like)], version=3)


@case("FILL", "f32", "int8", "uint8", "int16", "int32", "int64", "bool")
def fill(draw: Draw) -> None:
    x, like = moved(draw, ())
    draw.operator("FILL", [draw.const(draw.shape(1, 4)), x], [draw.output(**like)], version=3)


@case("ZEROS_LIKE", "f32", "int32", "int64")
def zeros_like(draw: Draw) -> None:
    x, like = moved(draw, draw.shape())
    draw.operator("ZEROS_LIKE", [x], [draw.output(**like)])


# --- one into many, many into one ---


@case("SPLIT", "f32", "int8", "uint8", "int16", "int32", "int64")
def split(draw: Draw) -> None:
    shape, parts = list(draw.shape(1, 4, 4)), draw.integer(1, 4)
    axis = draw.integer(0, len(shape) - 1)
    shape[axis] *= parts
    x, like = moved(draw, shape)
    inputs = [draw.const(axis - len(shape) * draw.integer(0, 1)), x]
    outputs = [draw.output(**like) for _ in range(parts)]
    draw.operator("SPLIT", inputs, outputs, "SplitOptions", 2, NumSplits=parts)


@case("SPLIT_V", "f32", "int8", "uint8", "int16", "int32", "int64")
def split_by_sizes(draw: Draw) -> None:
    shape, sizes = list(draw.shape(1, 4)), [draw.integer(1, 4) for _ in range(draw.integer(1, 4))]
    axis = draw.integer(0, len(shape) - 1)
    shape[axis] = sum(sizes)
    outputs = len(sizes)
    if draw.chance(0.3):
        sizes[draw.integer(0, outputs - 1)] = -1
    x, like = moved(draw, shape)
    inputs = [x, draw.const(sizes, np.int64), draw.const(axis - len(shape) * draw.integer(0, 1))]
    given = [draw.output(**like) for _ in range(outputs)]
    draw.operator("SPLIT_V", inputs, given, "SplitVOptions", 2, NumSplits=outputs)


@case("PACK", "f32", "int8", "uint8", "int16", "int32", "int64")
def pack(draw: Draw) -> None:
    shape, quant, count = draw.shape(1, 4), draw.quant(), draw.integer(1, 4)
    inputs = [draw.input(shape, draw.dtype, quant) for _ in range(count)]
    options = {"ValuesCount": count, "Axis": draw.integer(-len(shape) - 1, len(shape))}
    draw.operator("PACK", inputs, [draw.output(draw.dtype, quant)], "PackOptions", 2, **options)


@case("UNPACK", "f32", "int8", "uint8", "int16", "int32", "bool")
def unpack(draw: Draw) -> None:
    shape = draw.shape(2, 4, 4)
    axis = draw.integer(-len(shape), len(shape) - 1)
    x, like = moved(draw, shape)
    outputs = [draw.output(**like) for _ in range(shape[axis])]
    draw.operator("UNPACK", [x], outputs, "UnpackOptions", 2, Num=shape[axis], Axis=axis)


@case("EXPAND_DIMS", "f32", "int8", "uint8", "int16", "int32", "int64", "bool")
def expand_dims(draw: Draw) -> None:
    shape = draw.shape(1, 4)
    x, like = moved(draw, shape)
    axis = draw.const(draw.integer(-len(shape) - 1, len(shape)))
    draw.operator("EXPAND_DIMS", [x, axis], [draw.output(**like)], "ExpandDimsOptions")


@case("SQUEEZE", "f32", "int8", "uint8", "int16", "int32", "int64", "bool")
def squeeze(draw: Draw) -> None:
    shape = [1 if draw.chance() else d for d in draw.shape(2, 5)]
    ones = [i for i, d in enumerate(shape) if d == 1]
    axes = draw.rng.permutation(ones)[: draw.integer(0, len(ones))].tolist()
    x, like = moved(draw, shape)
    draw.operator("SQUEEZE", [x], [draw.output(**like)], "SqueezeOptions", 1, SqueezeDims=axes)


# --- indices ---


@case("GATHER", "f32", "int8", "uint8", "int16", "int32", "int64", "bool")
def gather(draw: Draw) -> None:
    shape = draw.shape(1, 4)
    batch = draw.integer(0, len(shape) - 1) if draw.chance(0.4) else 0
    axis = draw.integer(batch, len(shape) - 1)
    picked = (*shape[:batch], *draw.shape(0, 2, 4))
    x, like = moved(draw, shape)
    dtype = draw.choice((np.int32, np.int64))
    if draw.chance():
        indices = draw.input(picked, dtype, low=0, high=shape[axis] - 1)
    else:
        indices = draw.const(draw.rng.integers(0, shape[axis], picked), dtype)
    options = {"Axis": axis - len(shape) * draw.integer(0, 1), "BatchDims": batch}
    draw.operator("GATHER", [x, indices], [draw.output(**like)], "GatherOptions", 4, **options)


@case("GATHER_ND", "f32", "int8", "uint8", "int16", "int32", "int64", "bool")
def gather_nd(draw: Draw) -> None:
    shape = draw.shape(1, 4)
    depth = draw.integer(1, len(shape))
    picked = (*draw.shape(0, 2, 4), depth)
    x, like = moved(draw, shape)
    dtype, reach = draw.choice((np.int32, np.int64)), min(shape[:depth])
    if draw.chance():
        indices = draw.input(picked, dtype, low=0, high=reach - 1)
    else:
        indices = draw.const(draw.rng.integers(0, shape[:depth], picked), dtype)
    draw.operator("GATHER_ND", [x, indices], [draw.output(**like)], "GatherNdOptions", 3)


@case("ONE_HOT", "f32", "int8", "uint8", "int32", "int64", "bool")
def one_hot(draw: Draw) -> None:
    shape, depth = draw.shape(1, 3, 5), draw.integer(1, 6)
    dtype, quant = draw.choice((np.int32, np.int64)), draw.quant()
    indices = draw.input(shape, dtype, low=-1, high=depth)
    values = [draw.const(draw.rng.integers(0, 100), draw.dtype, quant) for _ in range(2)]
    inputs = [indices, draw.const(depth), *values]
    options = {"Axis": draw.integer(-1, len(shape))}
    draw.operator("ONE_HOT", inputs, [draw.output(draw.dtype, quant)], "OneHotOptions", **options)


@case("TOPK_V2", "f32", "int8", "uint8", "int16", "int32", "int64")
def top_k(draw: Draw) -> None:
    shape = draw.shape(1, 4, 20)
    x, like = moved(draw, shape)
    outputs = [draw.output(**like), draw.output(np.int32)]
    draw.operator("TOPK_V2", [x, draw.const(draw.integer(1, shape[-1]))], outputs, "TopKV2Options", 2)
