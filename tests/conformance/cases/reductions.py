"""Reductions over axes."""

from __future__ import annotations

from tests.conformance.draw import Draw, case


def axes_of(draw: Draw, rank: int) -> list[int]:
    """Some axes, of which some count from the end."""
    axes = draw.rng.permutation(rank)[: draw.integer(1, rank)]
    return [int(a) - rank * draw.integer(0, 1) for a in axes]


@case("MEAN", "f32", "int8", relative_to="sums")
def mean(draw: Draw) -> None:
    shape = draw.shape(1, 4)
    quant = draw.quant()
    axes = [1, 2] if len(shape) == 4 and draw.chance() else axes_of(draw, len(shape))
    x = draw.input(shape, draw.dtype, quant)
    output = draw.output(draw.dtype, quant if draw.chance(0.3) else draw.quant())
    options = {"KeepDims": draw.chance()}
    draw.operator("MEAN", [x, draw.const(axes)], [output], "ReducerOptions", 2, **options)
