"""Functions of one operand, ops of two operands that broadcast, comparisons, selection, casts."""

from __future__ import annotations

import numpy as np
import tflite

from harness.graph import Quantization
from tests.conformance.draw import DTYPES, Draw, case


def arithmetic(op: str, kind: str):
    def draw_binary(draw: Draw) -> None:
        inputs = [draw.input(shape) for shape in draw.broadcast_shapes()]
        options = {"FusedActivationFunction": draw.activation()}
        draw.operator(op, inputs, [draw.output()], kind, 2, **options)

    return draw_binary


for _op, _kind in (("ADD", "AddOptions"), ("SUB", "SubOptions"), ("MUL", "MulOptions")):
    case(_op, "f32", "int8", "uint8", "int16", "int32", "int64")(arithmetic(_op, _kind))


@case("DIV", "f32", "int32")
def div(draw: Draw) -> None:
    """No divisor is zero, which LiteRT refuses of integers and turns into the largest float."""
    a, b = draw.broadcast_shapes()
    low, high = (0.1, 4.0) if draw.arithmetic == "f32" else (1, 9)
    inputs = [draw.input(a), draw.input(b, None, None, low, high)]
    options = {"FusedActivationFunction": draw.activation()}
    draw.operator("DIV", inputs, [draw.output()], "DivOptions", 2, **options)


@case("DIV", "int8")
def div_int8(draw: Draw) -> None:
    """Of scales with which the reference kernel shifts by 31 bits at most; beyond, it is undefined."""
    shapes, a, b = draw.broadcast_shapes(), draw.quant(), Quantization(draw.quant().scale, -128)
    output = Quantization(a.scale / (b.scale * draw.rng.uniform(64, 300)), draw.quant().zero_point)
    inputs = [draw.input(shapes[0], np.int8, a), draw.input(shapes[1], np.int8, b, -127, 127)]
    options = {"FusedActivationFunction": draw.activation()}
    draw.operator("DIV", inputs, [draw.output(np.int8, output)], "DivOptions", 2, **options)


def binary(op: str, kind: str, version: int = 1, **limits: tuple[float, float]):
    """An op without activation. limits: of both operands, by arithmetic."""

    def draw_binary(draw: Draw) -> None:
        low, high = limits.get(draw.arithmetic, (None, None))
        inputs = [draw.input(shape, None, None, low, high) for shape in draw.broadcast_shapes(4)]
        draw.operator(op, inputs, [draw.output()], kind, version)

    return draw_binary


POSITIVE = {"f32": (0.2, 3.0), "int32": (1, 6), "int64": (1, 6)}
case("SQUARED_DIFFERENCE", "f32", "int32")(binary("SQUARED_DIFFERENCE", "SquaredDifferenceOptions"))
case("FLOOR_DIV", "f32", "int32")(binary("FLOOR_DIV", "FloorDivOptions", 2, **POSITIVE))
case("FLOOR_MOD", "f32", "int32", "int64")(binary("FLOOR_MOD", "FloorModOptions", **POSITIVE))
case("POW", "f32", "int32")(binary("POW", "PowOptions", **POSITIVE))


@case("SQUARED_DIFFERENCE", "int8")
def squared_difference(draw: Draw) -> None:
    """The output's scale is not so small that LiteRT's factor exceeds 1."""
    inputs = [draw.input(shape) for shape in draw.broadcast_shapes(4)]
    output = draw.output(np.int8, draw.quant(0.02, 1.0))
    draw.operator("SQUARED_DIFFERENCE", inputs, [output], "SquaredDifferenceOptions", 2)


def extreme(op: str):
    def draw_extreme(draw: Draw) -> None:
        quant = draw.quant()
        inputs = [draw.input(shape, draw.dtype, quant) for shape in draw.broadcast_shapes(4)]
        draw.operator(op, inputs, [draw.output(draw.dtype, quant)], "MaximumMinimumOptions", 2)

    return draw_extreme


for _op in ("MAXIMUM", "MINIMUM"):
    case(_op, "f32", "int8", "uint8", "int16", "int32", "int64")(extreme(_op))


def comparison(op: str, kind: str):
    def draw_comparison(draw: Draw) -> None:
        low, high = (-3, 3) if draw.arithmetic in ("int32", "int64") else (None, None)
        inputs = [draw.input(shape, None, None, low, high) for shape in draw.broadcast_shapes(4)]
        draw.operator(op, inputs, [draw.output(np.bool_)], kind, 2)

    return draw_comparison


for _op, _kind, _more in (
    ("EQUAL", "EqualOptions", ("bool",)),
    ("NOT_EQUAL", "NotEqualOptions", ("bool",)),
    ("LESS", "LessOptions", ()),
    ("LESS_EQUAL", "LessEqualOptions", ()),
    ("GREATER", "GreaterOptions", ()),
    ("GREATER_EQUAL", "GreaterEqualOptions", ()),
):
    case(_op, "f32", "int8", "uint8", "int32", "int64", *_more)(comparison(_op, _kind))

case("LOGICAL_AND", "bool")(binary("LOGICAL_AND", "LogicalAndOptions"))
case("LOGICAL_OR", "bool")(binary("LOGICAL_OR", "LogicalOrOptions"))


def unary(op: str, kind: str | None = None, low: float | None = None, high: float | None = None):
    """A function whose floats lie in [low, high]."""

    def draw_unary(draw: Draw) -> None:
        limits = (low, high) if draw.arithmetic == "f32" else (None, None)
        x = draw.input(draw.shape(), None, None, *limits)
        draw.operator(op, [x], [draw.output()], kind)

    return draw_unary


case("ABS", "f32", "int8", "int32")(unary("ABS"))
case("CEIL", "f32", optimized=True)(unary("CEIL"))
case("COS", "f32")(unary("COS", None, -10, 10))
case("EXP", "f32")(unary("EXP", "ExpOptions", -80, 80))
case("FLOOR", "f32")(unary("FLOOR"))
case("LOG", "f32")(unary("LOG", None, 1e-6, 1e6))
case("LOG", "int8")(unary("LOG"))
case("LOGICAL_NOT", "bool")(unary("LOGICAL_NOT", "LogicalNotOptions"))
case("NEG", "f32", "int32", "int64")(unary("NEG", "NegOptions"))
case("ROUND", "f32", optimized=True)(unary("ROUND"))
case("RSQRT", "f32")(unary("RSQRT", None, 1e-6, 1e6))
case("SIN", "f32")(unary("SIN", None, -10, 10))
case("SQRT", "f32")(unary("SQRT", None, 0, 1e6))
case("SQUARE", "f32")(unary("SQUARE", "SquareOptions"))


@case("EXP", "int8")
def exp(draw: Draw) -> None:
    """Of a range in which no result leaves int32, where the reference kernel's conversion is undefined."""
    x = draw.input(draw.shape(), np.int8, draw.quant(0.002, 0.05))
    draw.operator("EXP", [x], [draw.output()], "ExpOptions", 2)


@case("RSQRT", "int8")
def rsqrt(draw: Draw) -> None:
    """Nothing below zero, which LiteRT refuses."""
    quant = Quantization(draw.quant().scale, -128)
    draw.operator("RSQRT", [draw.input(draw.shape(), np.int8, quant)], [draw.output()], version=2)


@case("SELECT", "f32", "int8", "int16", "int32")
def select(draw: Draw) -> None:
    shape, quant = draw.shape(), draw.quant()
    condition = draw.input(shape, np.bool_)
    inputs = [condition, *(draw.input(shape, draw.dtype, quant) for _ in range(2))]
    draw.operator("SELECT", inputs, [draw.output(draw.dtype, quant, shape)], "SelectOptions")


@case("SELECT_V2", "f32", "int8", "int16", "int32", "int64", "bool")
def select_v2(draw: Draw) -> None:
    """All three broadcast."""
    whole, quant = draw.shape(1, 4, 5), draw.quant()
    condition, a, b = ([1 if draw.chance(0.25) else d for d in whole] for _ in range(3))
    inputs = [draw.input(condition, np.bool_)]
    inputs += [draw.input(shape, draw.dtype, quant) for shape in (a, b)]
    output = draw.output(draw.dtype, quant, np.broadcast_shapes(condition, a, b))
    draw.operator("SELECT_V2", inputs, [output], "SelectV2Options")


@case("CAST", "f32", "int32", "int64", "bool", "int8")
def cast(draw: Draw) -> None:
    """Named by what is cast; integers that the output can hold, for LiteRT leaves the others undefined."""
    source = draw.dtype
    target = np.dtype(DTYPES[draw.choice(("f32", "int32", "int64", "bool", "uint8", "int8"))])
    small = target.itemsize == 1 and target.kind != "b"
    low, high = (0, 100) if small else (-128, 127) if source.itemsize == 1 else (-1000, 1000)
    x = draw.input(draw.shape(), source, None, low, high)
    names = {np.dtype(kind): name for name, kind in DTYPES.items()}
    types = {"f32": "FLOAT32"} | {name: name.upper() for name in DTYPES if name != "f32"}
    numbers = [getattr(tflite.TensorType, types[names[kind]]) for kind in (source, target)]
    options = {"InDataType": numbers[0], "OutDataType": numbers[1]}
    draw.operator("CAST", [x], [draw.output(target)], "CastOptions", **options)


@case("ADD_N", "f32", "int32")
def add_n(draw: Draw) -> None:
    shape = draw.shape()
    inputs = [draw.input(shape) for _ in range(draw.integer(2, 5))]
    draw.operator("ADD_N", inputs, [draw.output()], "AddNOptions")
