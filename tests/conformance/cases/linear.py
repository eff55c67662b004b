"""Convolutions and fully connected layers: padding, stride, dilation, per-channel scales."""

from __future__ import annotations

import numpy as np

from harness.graph import Quantization
from tests.conformance.draw import OMITTED, Draw, case


def weights(draw: Draw, shape, axis: int, x: Quantization | None) -> tuple[int, Quantization | None]:
    """Constant weights, and what their bias is quantized with."""
    if not draw.quantized:
        return draw.const(draw.rng.normal(0, 0.3, shape), np.float32), None
    count = shape[axis]
    scales = np.exp(draw.rng.uniform(np.log(0.002), np.log(0.05), count)).astype(np.float32)
    quant = Quantization(scales, np.zeros(count, np.int32), axis)
    values = draw.rng.integers(-127, 127, shape, endpoint=True)
    return draw.const(values, np.int8, quant), Quantization(x.scale * scales, np.zeros(count), 0)


def bias(draw: Draw, count: int, quant: Quantization | None) -> int:
    if quant is None:
        return draw.const(draw.rng.normal(0, 1, count), np.float32)
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


@case("CONV_2D", "f32", "int8", relative_to="sums")
def convolution(draw: Draw) -> None:
    size = (draw.integer(1, 12), draw.integer(1, 12))
    depth, count = draw.integer(1, 17), draw.integer(1, 19)
    filter_size = (draw.integer(1, 5), draw.integer(1, 5))
    quant = draw.quant()
    x = draw.input((draw.integer(1, 2), *size, depth), draw.dtype, quant)
    w, bias_quant = weights(draw, (count, *filter_size, depth), 0, quant)
    inputs = [x, w, bias(draw, count, bias_quant)]
    options = window(draw, size, filter_size)
    activation = draw.activation()
    draw.operator(
        "CONV_2D", inputs, [output(draw)], "Conv2DOptions", 3, FusedActivationFunction=activation, **options
    )


@case("DEPTHWISE_CONV_2D", "f32", "int8", relative_to="sums")
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


@case("FULLY_CONNECTED", "f32", "int8", relative_to="sums")
def fully_connected(draw: Draw) -> None:
    batch, depth, count = draw.integer(1, 5), draw.integer(1, 90), draw.integer(1, 40)
    quant = draw.quant()
    x = draw.input((batch, depth), draw.dtype, quant)
    w, bias_quant = weights(draw, (count, depth), 0, quant)
    last = OMITTED if draw.chance(0.3) else bias(draw, count, bias_quant)
    options = {"FusedActivationFunction": draw.activation()}
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


case("AVERAGE_POOL_2D", "f32", "int8", relative_to="sums")(pool("AVERAGE_POOL_2D"))
case("MAX_POOL_2D", "f32", "int8")(pool("MAX_POOL_2D"))
