"""Convolutions and fully connected layers: padding, stride, dilation, per-channel scales."""

from __future__ import annotations

import numpy as np

from harness.graph import Quantization
from tests.conformance.draw import OMITTED, Draw, case


def weights(draw: Draw, shape, axis: int, x: Quantization | None) -> tuple[int, Quantization | None]:
    """Constant weights, and what their bias is quantized with."""
    if not draw.quantized:
        return draw.weights(draw.rng.normal(0, 0.3, shape)), None
    if draw.arithmetic == "uint8":
        quant = draw.quant(0.002, 0.05)
        low, high = draw.choice([(0, 255), (1, 255), (100, 140)])
        values = draw.rng.integers(low, high, shape, endpoint=True)
        return draw.const(values, np.uint8, quant), Quantization(x.scale * quant.scale, 0)
    count = shape[axis] if draw.arithmetic == "int16" or draw.chance(0.8) else 1
    scales = np.exp(draw.rng.uniform(np.log(0.002), np.log(0.05), count)).astype(np.float32)
    quant = Quantization(scales, np.zeros(count, np.int32), axis if count > 1 else None)
    values = draw.rng.integers(-127, 127, shape, endpoint=True)
    bias_axis = 0 if count > 1 else None
    return draw.const(values, np.int8, quant), Quantization(x.scale * scales, np.zeros(count), bias_axis)


def bias(draw: Draw, count: int, quant: Quantization | None) -> int:
    if quant is None:
        return draw.weights(draw.rng.normal(0, 1, count))
    if draw.arithmetic == "int16":
        return draw.const(draw.rng.integers(-(10**6), 10**6, count), np.int64, quant)
    return draw.const(draw.rng.integers(-2000, 2000, count), np.int32, quant)


def output(draw: Draw) -> int:
    """Sums of many products: a coarser scale than the inputs'."""
    return draw.output(draw.dtype, draw.quant(0.02, 1.0))


def window(draw: Draw, size, filter_size, *, strides=(1, 2, 3), dilations=(1, 1, 2)) -> dict[str, int]:
    """Stride, dilation and padding under which at least one window fits."""
    stride, dilation = draw.choice(strides), draw.choice(dilations)
    dilation = 1 if stride > 1 else dilation
    fits = all((f - 1) * dilation < s for s, f in zip(size, filter_size, strict=True))
    return {
        "StrideH": stride,
        "StrideW": stride,
        "DilationHFactor": dilation,
        "DilationWFactor": dilation,
        "Padding": draw.integer(0, 1) if fits else 0,
    }


@case("CONV_2D", "f32", "f16", "int8", "uint8", "int16", relative_to="sums")
def convolution(draw: Draw) -> None:
    size = (draw.integer(1, 12), draw.integer(1, 12))
    groups = draw.choice((1, 1, 1, 2, 3)) if draw.arithmetic != "uint8" else 1
    depth, count = draw.integer(1, 17) * groups, draw.integer(1, 19) * groups
    filter_size = (draw.integer(1, 5), draw.integer(1, 5))
    quant = draw.quant()
    x = draw.input((draw.integer(1, 2), *size, depth), draw.dtype, quant)
    w, bias_quant = weights(draw, (count, *filter_size, depth // groups), 0, quant)
    inputs = [x, w, bias(draw, count, bias_quant)]
    options = window(draw, size, filter_size)
    activation = draw.activation()
    draw.operator(
        "CONV_2D", inputs, [output(draw)], "Conv2DOptions", 3, FusedActivationFunction=activation, **options
    )


@case("DEPTHWISE_CONV_2D", "f32", "f16", "int8", "uint8", "int16", relative_to="sums")
def depthwise(draw: Draw) -> None:
    size = (draw.integer(1, 12), draw.integer(1, 12))
    depth, multiplier = draw.integer(1, 17), draw.choice((1, 1, 2, 3))
    filter_size = (draw.integer(1, 5), draw.integer(1, 5))
    quant = draw.quant()
    x = draw.input((draw.integer(1, 2), *size, depth), draw.dtype, quant)
    w, bias_quant = weights(draw, (1, *filter_size, depth * multiplier), 3, quant)
    inputs = [x, w, bias(draw, depth * multiplier, bias_quant)]
    options = window(draw, size, filter_size) | {"DepthMultiplier": multiplier}
    options["FusedActivationFunction"] = draw.activation()
    draw.operator("DEPTHWISE_CONV_2D", inputs, [output(draw)], "DepthwiseConv2DOptions", 3, **options)


@case("FULLY_CONNECTED", "f32", "f16", "int8", "uint8", "int16", relative_to="sums")
def fully_connected(draw: Draw) -> None:
    depth, count = draw.integer(1, 90), draw.integer(1, 40)
    keeps = draw.chance(0.3)
    batch = draw.shape(1, 3, 4) if keeps else (draw.integer(1, 5),)
    quant = draw.quant()
    x = draw.input((*batch, depth), draw.dtype, quant)
    w, bias_quant = weights(draw, (count, depth), 0, quant)
    last = OMITTED if draw.chance(0.3) else bias(draw, count, bias_quant)
    options = {"FusedActivationFunction": draw.activation(), "KeepNumDims": keeps}
    draw.operator("FULLY_CONNECTED", [x, w, last], [output(draw)], "FullyConnectedOptions", 4, **options)


def pool(op: str):
    def draw_pool(draw: Draw) -> None:
        size = (draw.integer(1, 12), draw.integer(1, 12))
        filter_size = (draw.integer(1, 5), draw.integer(1, 5))
        quant = draw.quant()
        x = draw.input((draw.integer(1, 2), *size, draw.integer(1, 19)), draw.dtype, quant)
        options = window(draw, size, filter_size, dilations=(1,))
        options = {name: value for name, value in options.items() if "Dilation" not in name}
        options |= {"FilterHeight": filter_size[0], "FilterWidth": filter_size[1]}
        options["FusedActivationFunction"] = draw.activation()
        draw.operator(op, [x], [draw.output(draw.dtype, quant)], "Pool2DOptions", 2, **options)

    return draw_pool


case("AVERAGE_POOL_2D", "f32", "int8", "uint8", "int16", relative_to="sums")(pool("AVERAGE_POOL_2D"))
case("MAX_POOL_2D", "f32", "int8", "uint8", "int16")(pool("MAX_POOL_2D"))
