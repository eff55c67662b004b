"""Ops of two operands that broadcast."""

from __future__ import annotations

from tests.conformance.draw import Draw, case


def arithmetic(op: str, kind: str):
    def draw_binary(draw: Draw) -> None:
        inputs = [draw.input(shape) for shape in draw.broadcast_shapes()]
        options = {"FusedActivationFunction": draw.activation()}
        draw.operator(op, inputs, [draw.output()], kind, 2, **options)

    return draw_binary


case("ADD", "f32", "int8")(arithmetic("ADD", "AddOptions"))
case("SUB", "f32", "int8")(arithmetic("SUB", "SubOptions"))
case("MUL", "f32", "int8")(arithmetic("MUL", "MulOptions"))
