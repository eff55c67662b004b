"""Reductions over axes, the places of extremes, running sums."""

from __future__ import annotations

import numpy as np
import tflite

from harness.graph import Quantization
from tests.conformance.draw import Draw, case


def axes_of(draw: Draw, rank: int) -> list[int]:
    """Some axes, of which some count from the end."""
    axes = draw.rng.permutation(rank)[: draw.integer(1, rank)]
    return [int(a) - rank * draw.integer(0, 1) for a in axes]


def reduction(op: str, rescales: bool, version: int = 2, **limits: tuple[float, float]):
    """rescales: the output may be quantized differently. limits: of values, by arithmetic."""

    def draw_reduction(draw: Draw) -> None:
        shape, quant = draw.shape(1, 5, 6), draw.quant()
        low, high = limits.get(draw.arithmetic, (None, None))
        x = draw.input(shape, draw.dtype, quant, low, high)
        axes = [1, 2] if len(shape) == 4 and draw.chance() else axes_of(draw, len(shape))
        output = draw.output(draw.dtype, draw.quant() if rescales and draw.chance(0.7) else quant)
        options = {"KeepDims": draw.chance()}
        draw.operator(op, [x, draw.const(axes)], [output], "ReducerOptions", version, **options)

    return draw_reduction


case("MEAN", "f32", "int8", "uint8", "int16", "int32", "int64", relative_to="sums")(reduction("MEAN", True))
case("SUM", "f32", "int32", "int64", relative_to="sums")(reduction("SUM", True))


@case("SUM", "int8")
def quantized_sum(draw: Draw) -> None:
    """Of bytes up to 127 to bytes up to 127: the reference kernel takes int8 for uint8."""
    shape = draw.shape(1, 4, 6)
    quant = Quantization(draw.quant().scale, draw.integer(-128, 0))
    axes = axes_of(draw, len(shape))
    most = 255 * np.prod([shape[a] for a in axes])
    output = Quantization(quant.scale * most / draw.integer(10, 100), draw.integer(0, 27))
    inputs = [draw.input(shape, np.int8, quant, 0, 127), draw.const(axes)]
    options = {"KeepDims": draw.chance()}
    draw.operator("SUM", inputs, [draw.output(np.int8, output)], "ReducerOptions", 2, **options)


case("REDUCE_MAX", "f32", "int8", "uint8", "int16", "int32", "int64")(reduction("REDUCE_MAX", False))
case("REDUCE_MIN", "f32", "int8", "uint8", "int16", "int32", "int64")(reduction("REDUCE_MIN", False))
case("REDUCE_PROD", "f32", "int32")(reduction("REDUCE_PROD", False, f32=(0.5, 1.5), int32=(-2, 2)))
case("REDUCE_ANY", "bool")(reduction("REDUCE_ANY", False, 1))
case("REDUCE_ALL", "bool")(reduction("REDUCE_ALL", False, 1))


def arg_extreme(op: str, kind: str):
    def draw_arg(draw: Draw) -> None:
        shape = draw.shape(1, 4)
        axis = draw.const(draw.integer(-len(shape), len(shape) - 1))
        dtype, number = draw.choice(
            ((np.int32, tflite.TensorType.INT32), (np.int64, tflite.TensorType.INT64))
        )
        draw.operator(op, [draw.input(shape), axis], [draw.output(dtype)], kind, 2, OutputType=number)

    return draw_arg


case("ARG_MAX", "f32", "int8", "uint8", "int32")(arg_extreme("ARG_MAX", "ArgMaxOptions"))
case("ARG_MIN", "f32", "int8", "uint8", "int32")(arg_extreme("ARG_MIN", "ArgMinOptions"))


@case("CUMSUM", "f32", "int32", "int64", relative_to="sums")
def cumulative_sum(draw: Draw) -> None:
    shape = draw.shape(1, 4)
    axis = draw.const(draw.integer(-len(shape), len(shape) - 1))
    flags = {"Exclusive": draw.chance(), "Reverse": draw.chance()}
    draw.operator("CUMSUM", [draw.input(shape), axis], [draw.output()], "CumsumOptions", **flags)
