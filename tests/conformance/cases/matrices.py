"""Products of matrices whose batches broadcast."""

from __future__ import annotations

from tests.conformance.draw import Draw, case


@case("BATCH_MATMUL", "f32", "int8", relative_to="sums")
def batch_matmul(draw: Draw) -> None:
    rows, depth, columns = draw.integer(1, 9), draw.integer(1, 40), draw.integer(1, 9)
    outer = draw.shape(0, 2, 4)
    swap_a, swap_b = draw.chance(), draw.chance()
    a = (depth, rows) if swap_a else (rows, depth)
    b = (columns, depth) if swap_b else (depth, columns)
    parts = [(*[1 if draw.chance(0.3) else d for d in outer], *matrix) for matrix in (a, b)]
    inputs = [draw.input(shape) for shape in parts]
    output = draw.output(draw.dtype, draw.quant(0.02, 1.0))
    options = {"AdjX": swap_a, "AdjY": swap_b}
    draw.operator("BATCH_MATMUL", inputs, [output], "BatchMatMulOptions", 3, **options)
