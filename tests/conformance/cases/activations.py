"""Activations of one operand, softmax and its kin."""

from __future__ import annotations

import numpy as np

from harness.graph import Quantization
from tests.conformance.draw import Draw, case


def unary(op: str, version: int = 1):
    def draw_unary(draw: Draw) -> None:
        draw.operator(op, [draw.input(draw.shape(1, 5, 6))], [draw.output()], version=version)

    return draw_unary


case("ELU", "f32", "int8", optimized=True)(unary("ELU"))
case("HARD_SWISH", "f32")(unary("HARD_SWISH"))
case("RELU", "f32", "int8", "uint8")(unary("RELU", 2))
case("RELU6", "f32", "int8", "uint8")(unary("RELU6", 2))
case("RELU_N1_TO_1", "f32", "int8")(unary("RELU_N1_TO_1"))


@case("HARD_SWISH", "int8", "uint8")
def hard_swish(draw: Draw) -> None:
    """The output's scale is at least a 128th of the input's, or LiteRT refuses."""
    quant = draw.quant()
    output = Quantization(quant.scale * draw.rng.uniform(0.05, 3), draw.quant().zero_point)
    x = draw.input(draw.shape(), draw.dtype, quant)
    draw.operator("HARD_SWISH", [x], [draw.output(draw.dtype, output)])


def fixed_output(op: str, fixed: dict[str, Quantization], kind: str | None = None):
    """An op whose quantized output TFLite prescribes."""

    def draw_fixed(draw: Draw) -> None:
        output = draw.output(draw.dtype, fixed.get(draw.arithmetic))
        draw.operator(op, [draw.input(draw.shape(1, 4, 9))], [output], kind)

    return draw_fixed


LOGISTIC = {
    "int8": Quantization(np.float32(1 / 256), -128),
    "uint8": Quantization(np.float32(1 / 256), 0),
    "int16": Quantization(np.float32(1 / 32768), 0),
}
TANH = {
    "int8": Quantization(np.float32(1 / 128), 0),
    "uint8": Quantization(np.float32(1 / 128), 128),
    "int16": Quantization(np.float32(1 / 32768), 0),
}
case("LOGISTIC", "f32", "int8", "uint8")(fixed_output("LOGISTIC", LOGISTIC))
case("TANH", "f32", "int8", "uint8")(fixed_output("TANH", TANH))
case("LOG_SOFTMAX", "f32", "int8")(
    fixed_output("LOG_SOFTMAX", {"int8": Quantization(np.float32(16 / 256), 127)})
)
case("L2_NORMALIZATION", "f32", "int8")(
    fixed_output("L2_NORMALIZATION", {"int8": Quantization(np.float32(1 / 128), 0)}, "L2NormOptions")
)


def int16_curve(op: str, quant: Quantization):
    """Scales that are powers of two take a path of their own."""

    def draw_curve(draw: Draw) -> None:
        scale = 2.0 ** -draw.integer(9, 13) if draw.chance() else draw.rng.uniform(1e-5, 1e-3)
        x = draw.input(draw.shape(), np.int16, Quantization(np.float32(scale), 0))
        draw.operator(op, [x], [draw.output(np.int16, quant)])

    return draw_curve


case("LOGISTIC", "int16")(int16_curve("LOGISTIC", LOGISTIC["int16"]))
case("TANH", "int16")(int16_curve("TANH", TANH["int16"]))


@case("SOFTMAX", "f32", "int8")
def softmax(draw: Draw) -> None:
    depth = draw.integer(1, 500)  # from 512 on the reference kernel aborts where all scores are alike
    x = draw.input((*draw.shape(0, 4, 3), depth))
    quant = Quantization(np.float32(1 / 256), -128) if draw.quantized else None
    beta = draw.choice((1.0, 1.0, 0.5, 2.0))
    draw.operator("SOFTMAX", [x], [draw.output(draw.dtype, quant)], "SoftmaxOptions", 2, Beta=beta)


@case("GELU", "f32", "int8", relative_to="sums")
def gelu(draw: Draw) -> None:
    """In float the two libraries' error functions differ where the result is next to nothing."""
    x, output = draw.input(draw.shape()), draw.output()
    draw.operator("GELU", [x], [output], "GeluOptions", Approximate=draw.chance())


@case("LEAKY_RELU", "f32", "int8", "uint8")
def leaky_relu(draw: Draw) -> None:
    alpha = float(draw.rng.uniform(0, 1.2))
    draw.operator("LEAKY_RELU", [draw.input(draw.shape())], [draw.output()], "LeakyReluOptions", Alpha=alpha)


@case("PRELU", "f32", "int8", "uint8")
def prelu(draw: Draw) -> None:
    """Factors per channel, shared axes of length 1, or of the input's shape."""
    shape = draw.shape(2, 4)
    factors = [d if draw.chance() else 1 for d in shape][draw.integer(0, 1) :]
    alpha, quant = draw.rng.uniform(-1, 1, factors), draw.quant()
    if quant is not None:
        limits = np.iinfo(draw.dtype)
        alpha = draw.rng.integers(limits.min, limits.max, factors, endpoint=True)
    inputs = [draw.input(shape), draw.const(alpha, draw.dtype, quant)]
    draw.operator("PRELU", inputs, [draw.output()])
