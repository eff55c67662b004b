"""Ops on the pixels of images: padding, resizing, and blocks moved to channels or batches."""

from __future__ import annotations

import numpy as np

from tests.conformance.cases.slices import moved
from tests.conformance.draw import Draw, case


@case("PADV2", "f32", "int8", "uint8", "int16", "int32", "int64", "bool")
def pad_with_value(draw: Draw) -> None:
    shape, quant = draw.shape(1, 4), draw.quant()
    value = draw.const(draw.rng.integers(-100, 100), draw.dtype, quant)
    inputs = [
        draw.input(shape, draw.dtype, quant),
        draw.const(draw.rng.integers(0, 4, (len(shape), 2))),
        value,
    ]
    draw.operator("PADV2", inputs, [draw.output(draw.dtype, quant)], "PadV2Options", 2)


@case("MIRROR_PAD", "f32", "int8", "uint8", "int16", "int32", "int64", "bool")
def mirror_pad(draw: Draw) -> None:
    shape, mode = draw.shape(1, 4), draw.integer(0, 1)  # reflect, symmetric
    pads = [[draw.integer(0, d - 1 + mode) for _ in range(2)] for d in shape]
    x, like = moved(draw, shape)
    draw.operator(
        "MIRROR_PAD", [x, draw.const(pads)], [draw.output(**like)], "MirrorPadOptions", 2, Mode=mode
    )


def blocks(op: str, kind: str, wider: bool):
    def draw_blocks(draw: Draw) -> None:
        block, (batch, height, width, depth) = draw.integer(1, 3), draw.shape(4, 4, 5)
        shape = (
            (batch, height, width, depth * block**2)
            if wider
            else (batch, height * block, width * block, depth)
        )
        x, like = moved(draw, shape)
        draw.operator(op, [x], [draw.output(**like)], kind, 1, BlockSize=block)

    return draw_blocks


case("DEPTH_TO_SPACE", "f32", "int8", "uint8", "int32", "int64")(
    blocks("DEPTH_TO_SPACE", "DepthToSpaceOptions", True)
)
case("SPACE_TO_DEPTH", "f32", "int8", "uint8", "int32", "int64")(
    blocks("SPACE_TO_DEPTH", "SpaceToDepthOptions", False)
)


@case("SPACE_TO_BATCH_ND", "f32", "int8", "uint8", "int16", "int32", "int64", "bool")
def space_to_batch(draw: Draw) -> None:
    """LiteRT has blocks of height, and of width as well."""
    shape = list(draw.shape(3, 4))
    count = len(shape) - 2
    block = [draw.integer(1, 3) for _ in range(count)]
    pads = [[draw.integer(0, 2), draw.integer(0, 2)] for _ in range(count)]
    for i, (b, pad) in enumerate(zip(block, pads, strict=True)):
        pad[1] += -(shape[1 + i] + sum(pad)) % b
    x, like = moved(draw, shape)
    inputs = [x, draw.const(block), draw.const(pads)]
    draw.operator("SPACE_TO_BATCH_ND", inputs, [draw.output(**like)], "SpaceToBatchNDOptions", 3)


@case("BATCH_TO_SPACE_ND", "f32", "int8", "uint8", "int16", "int32", "int64", "bool")
def batch_to_space(draw: Draw) -> None:
    shape = list(draw.shape(3, 4, 5))
    count = len(shape) - 2
    block = [draw.integer(1, 3) for _ in range(count)]
    shape[0] *= int(np.prod(block))
    crops = [
        [draw.integer(0, (d * b - 1) // 2) for _ in range(2)] for d, b in zip(shape[1:], block, strict=False)
    ]
    x, like = moved(draw, shape)
    inputs = [x, draw.const(block), draw.const(crops)]
    draw.operator("BATCH_TO_SPACE_ND", inputs, [draw.output(**like)], "BatchToSpaceNDOptions", 3)


def resize(op: str, kind: str):
    def draw_resize(draw: Draw) -> None:
        shape = draw.shape(4, 4, 9)
        x, like = moved(draw, shape)
        size = draw.const([draw.integer(1, 17), draw.integer(1, 17)])
        flags = draw.choice(({}, {"AlignCorners": True}, {"HalfPixelCenters": True}))
        draw.operator(op, [x, size], [draw.output(**like)], kind, 3, **flags)

    return draw_resize


case("RESIZE_BILINEAR", "f32", "int8", "uint8", "int16")(resize("RESIZE_BILINEAR", "ResizeBilinearOptions"))
case("RESIZE_NEAREST_NEIGHBOR", "f32", "int8", "uint8", "int16", "int32", "bool")(
    resize("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions")
)
