"""How ONNX's convolutions, matrix products and pools read in the IR: a table of translators, one line an op.

A translator takes a `Source` and returns the value that the node writes, or the list of them. The meaning of
inputs and attributes is ONNX's operator specification, opsets 11 to 21.
"""

from __future__ import annotations

import math

import numpy as np

from harness.importers.onnx_functions import Translator, mean_over
from harness.importers.onnx_shape_ops import reshaped
from harness.importers.onnx_source import Source
from harness.importers.onnx_values import Value, channels_last

LAST = channels_last(4)


# --- convolutions and matrices ---


def convolution(source: Source) -> Value:
    x, weights, *bias = source.args(2, 3)
    channels, (outputs, depth, *window) = source.image(x).shape[1], source.image(weights).shape
    groups = int(source.attr("group", 1))
    if groups < 1 or depth * groups != channels or outputs % groups:
        raise source.error(f"cannot apply {groups} groups of weights {weights.shape} to input {x.shape}")
    stride, dilation = source.pair("strides"), source.pair("dilations")
    attrs: dict[str, object] = {"stride": stride, "dilation": dilation}
    attrs["padding"] = source.padding(x.shape[2:], window, stride, dilation)
    inputs = [source.read(x, LAST)]
    if depth == 1 and groups > 1:  # C1HW → 1HWC
        op, attrs["multiplier"] = "DepthwiseConv2D", outputs // groups
        inputs.append(source.read(weights, (1, 2, 3, 0)))
    else:  # OIHW → OHWI, where I is the channels of one group
        op = "Conv2D"
        inputs.append(source.read(weights, LAST))
    return source.node(op, [*inputs, *map(source.read, bias)], LAST, **attrs)


def transposed_convolution(source: Source) -> Value:
    x, weights, *bias = source.args(2, 3)
    size, (_, _, *window) = source.image(x).shape[2:], source.image(weights).shape
    if source.attr("group", 1) != 1 or source.pair("dilations") != (1, 1):
        raise source.error("has groups or dilations, which are not supported")
    stride, extra = source.pair("strides"), source.attr("output_padding", (0, 0))
    whole = [(n - 1) * s + w + int(e) for n, s, w, e in zip(size, stride, window, extra, strict=True)]
    padding = _cut(source, size, stride, whole)
    target = tuple(n - sum(pads) for n, pads in zip(whole, padding, strict=True))
    inputs = [
        source.read(x, LAST),
        source.read(weights, (1, 2, 3, 0)),
        *map(source.read, bias),
    ]  # IOHW → OHWI
    return source.node("TransposeConv2D", inputs, LAST, size=target, stride=stride, padding=padding)


def _cut(source: Source, size, stride, whole) -> tuple[tuple[int, int], ...]:
    """((top, bottom), (left, right)): what a transposed convolution leaves out of the `whole` size."""
    wanted, mode = source.attr("output_shape"), source.attr("auto_pad", "NOTSET")
    if wanted is None and mode == "NOTSET":
        pads = [int(n) for n in source.attr("pads", (0, 0, 0, 0))]
        return (pads[0], pads[2]), (pads[1], pads[3])
    if wanted is None and mode == "VALID":
        return (0, 0), (0, 0)
    target = [int(n) for n in wanted][-2:] if wanted else [n * s for n, s in zip(size, stride, strict=True)]
    total = [n - t for n, t in zip(whole, target, strict=True)]
    before = [t // 2 if mode == "SAME_UPPER" else t - t // 2 for t in total]
    return tuple((b, t - b) for b, t in zip(before, total, strict=True))


def gemm(source: Source) -> Value:
    """alpha · A · B + beta · C."""
    a, b, *c = source.args(2, 3)
    a = source.values.view(a, (1, 0)) if source.flag("transA") else a
    b = source.values.view(b, (1, 0)) if source.flag("transB") else b
    alpha, beta = (float(source.attr(name, 1.0)) for name in ("alpha", "beta"))
    bias = c[0] if c and beta == alpha == 1.0 and math.prod(c[0].shape) == b.shape[1] else None
    y = _product(source, a, b, None if bias is None else reshaped(source, bias, (b.shape[1],)))
    if alpha != 1.0:
        y = source.binary("Mul", y, source.scalar(alpha))
    if c and bias is None:
        term = c[0] if beta == 1.0 else source.binary("Mul", c[0], source.scalar(beta))
        y = source.binary("Add", y, term)
    return y


def _product(source: Source, a: Value, b: Value, bias: Value | None = None) -> Value:
    """Two matrices; the second one's rows are outputs, as FullyConnected has its weights."""
    extra = [] if bias is None else [source.read(bias)]
    return source.node("FullyConnected", [source.read(a), source.read(b, (1, 0)), *extra], (0, 1))


def mat_mul(source: Source) -> Value:
    a, b = source.args(2)
    if b.rank == 2 and b.fixed and a.rank >= 2:
        rows = reshaped(source, a, (math.prod(a.shape[:-1]), a.shape[-1]))
        return reshaped(source, _product(source, rows, b), (*a.shape[:-1], b.shape[1]))
    if min(a.rank, b.rank) < 2:
        raise source.error(f"multiplies {a.shape} by {b.shape}; vectors are not supported")
    if a.rank == b.rank == 2:
        return source.node("MatMul", [source.read(a), source.read(b)], (0, 1))
    rank = max(a.rank, b.rank)
    operands = [reshaped(source, v, (1,) * (rank - v.rank) + v.shape) for v in (a, b)]
    return source.node("BatchMatMul", [source.read(v) for v in operands], tuple(range(rank)))


# --- pools ---


def _pool(op: str) -> Translator:
    def translate(source: Source) -> Value:
        x = source.image(source.args(1)[0])
        window, stride = source.pair("kernel_shape", ()), source.pair("strides")
        if source.pair("dilations") != (1, 1) or source.flag("storage_order"):
            raise source.error("has dilations or a storage order, which are not supported")
        padding = source.padding(x.shape[2:], window, stride, (1, 1))
        size = x.shape[2:]
        if op == "AveragePool2D" and source.flag("count_include_pad") and not isinstance(padding, str):
            x, size = _with_zeros(source, x, padding)
            padding = ((0, 0), (0, 0))
        if source.flag("ceil_mode") and not isinstance(padding, str):
            padding = tuple(map(_rounded_up, size, window, stride, padding))
        attrs = {"filter": window, "stride": stride, "padding": padding}
        return source.node(op, [source.read(x, LAST)], LAST, **attrs)

    return translate


def _with_zeros(source: Source, x: Value, padding) -> tuple[Value, tuple[int, int]]:
    """The image with zeros around it, which count in an average, and its size."""
    if any(map(any, padding)):
        pads = source.values.store(np.array([(0, 0), *padding, (0, 0)], np.int32), f"{source.name}/pads")
        x = source.node("Pad", [source.read(x, LAST), pads], LAST)
    return x, x.shape[2:]


def _rounded_up(length: int, window: int, stride: int, pads: tuple[int, int]) -> tuple[int, int]:
    """Pads with which a last, partly filled window counts too, if it begins before the padding behind."""
    padded = length + sum(pads)
    steps = -(-(padded - window) // stride)
    if steps * stride >= length + pads[0]:
        steps -= 1
    return pads[0], pads[1] + max(steps * stride + window - padded, 0)


def global_average(source: Source) -> Value:
    x = source.args(1)[0]
    return mean_over(source, x, range(2, x.rank))


def global_max(source: Source) -> Value:
    x = source.image(source.args(1)[0])
    return source.node("MaxPool2D", [source.read(x, LAST)], LAST, filter=x.shape[2:])


LAYERS: dict[str, Translator] = {
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
    "Gemm": gemm,
    "MatMul": mat_mul,
    "AveragePool": _pool("AveragePool2D"),
    "MaxPool": _pool("MaxPool2D"),
    "GlobalAveragePool": global_average,
    "GlobalMaxPool": global_max,
}
