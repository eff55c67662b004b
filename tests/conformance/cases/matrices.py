"""Products of matrices whose batches broadcast, and transposed convolutions."""

from __future__ import annotations

from harness.ops.windows import resolve_padding
from tests.conformance.cases.linear import bias, output, weights
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


@case("TRANSPOSE_CONV", "f32", "f16", "int8", "uint8", "int16", relative_to="sums")
def transpose_conv(draw: Draw) -> None:
    """The output is what a convolution with these windows makes the input of."""
    size = (draw.integer(1, 12), draw.integer(1, 12))
    window = (draw.integer(1, min(5, size[0])), draw.integer(1, min(5, size[1])))
    stride = (draw.integer(1, 3), draw.integer(1, 3))
    padding = draw.integer(0, 1)  # SAME, VALID
    _, read = resolve_padding(("SAME", "VALID")[padding], size, window, stride, (1, 1))
    batch, depth, count, quant = draw.integer(1, 2), draw.integer(1, 9), draw.integer(1, 9), draw.quant()
    x = draw.input((batch, *read, depth), draw.dtype, quant)
    w, bias_quant = weights(draw, (count, *window, depth), 0, quant)
    inputs = [draw.const((batch, *size, count)), w, x]
    if draw.chance(0.7):
        inputs.append(bias(draw, count, bias_quant))
    options = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1]}
    options["FusedActivationFunction"] = draw.activation()
    draw.operator("TRANSPOSE_CONV", inputs, [output(draw)], "TransposeConvOptions", 4, **options)
