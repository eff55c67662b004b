"""Activations of one operand, and the softmax."""

from __future__ import annotations

import numpy as np

from harness.graph import Quantization
from tests.conformance.draw import Draw, case


def unary(op: str, version: int = 1):
    def draw_unary(draw: Draw) -> None:
        draw.operator(op, [draw.input(draw.shape())], [draw.output()], version=version)

    return draw_unary


case("RELU", "f32", "int8")(unary("RELU", 2))
case("RELU6", "f32", "int8")(unary("RELU6", 2))


@case("SOFTMAX", "f32", "int8")
def softmax(draw: Draw) -> None:
    depth = draw.integer(1, 500)  # from 512 on the reference kernel aborts where all scores are alike
    x = draw.input((*draw.shape(0, 3, 4), depth))
    quant = Quantization(np.float32(1 / 256), -128) if draw.quantized else None
    beta = draw.choice((1.0, 1.0, 0.5, 2.0))
    draw.operator("SOFTMAX", [x], [draw.output(draw.dtype, quant)], "SoftmaxOptions", 2, Beta=beta)
