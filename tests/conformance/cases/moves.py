"""Ops that move values or change how they are stored: reshape, pad, concatenate, quantize."""

from __future__ import annotations

import numpy as np

from tests.conformance.draw import Draw, case


@case("RESHAPE", "f32", "int8", "uint8", "int16", "int32", "int64", "bool")
def reshape(draw: Draw) -> None:
    shape, quant = draw.shape(), draw.quant()
    x = draw.input(shape, draw.dtype, quant)
    target = draw.const(draw.choice([(-1, shape[-1]), (int(np.prod(shape)),), shape[::-1], (1, -1)]))
    draw.operator("RESHAPE", [x, target], [draw.output(draw.dtype, quant)])


@case("PAD", "f32", "int8", "uint8", "int16", "int32", "int64")
def pad(draw: Draw) -> None:
    shape, quant = draw.shape(1, 4), draw.quant()
    paddings = draw.const(draw.rng.integers(0, 4, (len(shape), 2)))
    x = draw.input(shape, draw.dtype, quant)
    draw.operator("PAD", [x, paddings], [draw.output(draw.dtype, quant)], "PadOptions", 2)


@case("CONCATENATION", "f32", "int8", "uint8", "int16", "int32", "int64", "bool")
def concatenation(draw: Draw) -> None:
    """The inputs of a uint8 one may be quantized differently."""
    shape, quant = list(draw.shape(1, 5)), draw.quant()
    axis = draw.integer(-len(shape), len(shape) - 1)
    inputs = []
    for _ in range(draw.integer(1, 4)):
        shape[axis] = draw.integer(1, 7)
        own = draw.quant() if draw.arithmetic == "uint8" and draw.chance() else quant
        inputs.append(draw.input(shape, draw.dtype, own))
    output = draw.output(draw.dtype, quant)
    draw.operator("CONCATENATION", inputs, [output], "ConcatenationOptions", 2, Axis=axis)


@case("QUANTIZE", "int8", "int16")
def quantize(draw: Draw) -> None:
    """From float, or from another quantization."""
    x = draw.input(draw.shape(), np.float32) if draw.chance() else draw.input(draw.shape())
    draw.operator("QUANTIZE", [x], [draw.output()], version=2)


@case("DEQUANTIZE", "int8", "int16")
def dequantize(draw: Draw) -> None:
    draw.operator("DEQUANTIZE", [draw.input(draw.shape())], [draw.output(np.float32)], version=2)
