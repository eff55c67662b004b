"""ONNX's quantized networks: QuantizeLinear and DequantizeLinear, and QOperators on quantized values.

An operator on quantized values is read as what its specification says that it computes: dequantize, the float
operator, quantize. So there is one way to go on from, and the pass `fuse_quantization` makes it integer
arithmetic again. uint8 values are kept as int8, both value and zero point less 128, which is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from harness.errors import FormatError
from harness.graph import Quantization
from harness.importers.onnx_source import Source
from harness.importers.onnx_values import Form, Value

SHIFT = 128  # from uint8 to int8
STORED = (np.dtype(np.int8), np.dtype(np.uint8), np.dtype(np.int32))


@dataclass(frozen=True)
class Operation:
    """A node of the file. inputs: names, "" where one is left out."""

    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attrs: dict[str, object] = field(default_factory=dict)


# --- QDQ ---


def shifted(values: np.ndarray) -> np.ndarray:
    """uint8 values as int8; others as they are."""
    return (values.astype(np.int16) - SHIFT).astype(np.int8) if values.dtype == np.uint8 else values


def _parameters(source: Source, dtype: np.dtype | None, rank: int) -> tuple[Quantization, np.dtype]:
    """Scale and zero point of inputs 1 and 2, as of int8 or int32, and the type of the stored values."""
    scale, zero = source.known(1, "scales"), source.known(2, "zero points")
    if scale is None or source.attr("block_size", 0):
        raise source.error("has no scale, or one for each block: not supported")
    dtype = dtype or (np.dtype(np.uint8) if zero is None else zero.dtype)
    if dtype not in STORED:
        raise source.error(f"stores {dtype}, which is not supported")
    zero = np.zeros(scale.shape, dtype) if zero is None else zero
    if zero.dtype != dtype or zero.size not in (1, scale.size) or scale.dtype.kind != "f":
        raise source.error(f"has scales {scale.dtype}{scale.shape} and zero points {zero.dtype}{zero.shape}")
    zero = np.broadcast_to(np.reshape(zero.astype(np.int32), -1), (scale.size,))
    zero = zero - SHIFT if dtype == np.uint8 else zero
    scale = np.reshape(scale, -1).astype(np.float32)
    if not np.all(np.isfinite(scale) & (scale > 0)):
        raise source.error("has a scale that is not positive and finite")
    axis = source.axis(int(source.attr("axis", 1)), rank) if scale.size > 1 else None
    return Quantization(scale, zero, axis), dtype


def _formed(quant: Quantization, form: Form) -> Quantization:
    return quant if quant.axis is None else replace(quant, axis=form.index(quant.axis))


def quantize_linear(source: Source) -> Value:
    x = source.inputs[0]
    quant, dtype = _parameters(source, None, x.rank)
    if x.data is not None:
        return source.values.constant(_quantized(quant, x.data, dtype), x.name)
    if quant.per_channel or dtype == np.int32:
        raise source.error("quantizes an activation by several scales or to int32: not supported")

    return Value(x.shape, {x.form: source.values.add("Quantize", [source.read(x, x.form)], quant)})


def _quantized(quant: Quantization, real: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Ties to even, as ONNX has it; in the type of the file."""
    shape = [-1 if axis == quant.axis else 1 for axis in range(real.ndim)]
    zero = quant.zero_point + (SHIFT if dtype == np.uint8 else 0)
    limits = np.iinfo(dtype)
    levels = np.rint(real.astype(np.float32) / quant.scale.reshape(shape)) + zero.reshape(shape)
    return np.clip(levels, limits.min, limits.max).astype(dtype)


def dequantize_linear(source: Source) -> Value:
    x = source.inputs[0]
    quant, _ = _parameters(source, None if x.data is None else x.data.dtype, x.rank)

    def constant(form: Form) -> str:
        stored = source.values.store(shifted(x.data).transpose(form), x.name, _formed(quant, form))
        return source.values.add("Dequantize", [stored])

    def activation(form: Form) -> str:
        tensor = source.read(x, form)
        found = source.values.graph.tensors[tensor].quant
        if found is None or not _equal(found, quant):
            raise source.error("reads values by another scale or zero point than they were written with")
        return source.values.add("Dequantize", [tensor])

    if x.data is not None and x.data.dtype not in STORED:
        raise source.error(f"reads {x.data.dtype}, which is not supported")
    make = activation if x.data is None else constant
    return Value(x.shape, make=make, likes=lambda: x.forms, fixed=x.fixed)


def _equal(a: Quantization, b: Quantization) -> bool:
    return (
        a.axis == b.axis
        and np.array_equal(a.scale, b.scale)
        and np.array_equal(np.unique(a.zero_point), np.unique(b.zero_point))
    )


# --- operators on quantized values ---


def _triples(*firsts: int) -> list[tuple[int, int, int]]:
    return [(first, first + 1, first + 2) for first in firsts]


class _Expansion:
    """The nodes that one operator on quantized values stands for."""

    def __init__(self, node: Operation) -> None:
        self.node = node
        self.nodes: list[Operation] = []

    def input(self, index: int) -> str:
        return self.node.inputs[index] if index < len(self.node.inputs) else ""

    def step(self, op: str, suffix: str, inputs: list[str], **attrs: object) -> str:
        name = f"{self.node.name}/{suffix}"
        self.nodes.append(Operation(op, name, inputs, [name], attrs))
        return name

    def real(self, triple: tuple[int, int, int], axis: int = 1) -> str:
        names = [self.input(index) for index in triple]
        if not names[0] or not names[1]:
            raise FormatError(f"node '{self.node.name}' ({self.node.op}) lacks an input or its scale")
        return self.step("DequantizeLinear", f"real{triple[0]}", names, axis=axis)

    def bias(self, index: int, scales: tuple[int, int], alpha: float = 1.0) -> list[str]:
        """An int32 bias, whose scale is the product of the two."""
        if not self.input(index):
            return []
        scale = self.step("Mul", "bias_scale", [self.input(i) for i in scales])
        if alpha != 1.0:
            factor = self.step("Constant", "alpha", [], value=np.float32(alpha).reshape(()))
            scale = self.step("Mul", "scaled", [scale, factor])
        return [self.step("DequantizeLinear", "bias", [self.input(index), scale], axis=0)]

    def finish(self, op: str, inputs: list[str], output: tuple[int, int]) -> list[Operation]:
        last = f"{self.node.name}/{op}"
        attrs = {key: value for key, value in self.node.attrs.items() if key != "opset"}
        if not self.input(output[0]):  # QGemm may leave its result real
            return [*self.nodes, Operation(op, self.node.name, inputs, self.node.outputs, attrs)]
        self.nodes.append(Operation(op, last, inputs, [last], attrs))
        levels = [last, *(self.input(index) for index in output)]
        return [*self.nodes, Operation("QuantizeLinear", self.node.name, levels, self.node.outputs)]


def _convolution(e: _Expansion) -> list[Operation]:
    operands = [e.real((0, 1, 2)), e.real((3, 4, 5), axis=0)]
    return e.finish("Conv", operands + e.bias(8, (1, 4)), (6, 7))


def _mat_mul(e: _Expansion) -> list[Operation]:
    return e.finish("MatMul", [e.real((0, 1, 2)), e.real((3, 4, 5), axis=-1)], (6, 7))


def _gemm(e: _Expansion) -> list[Operation]:
    axis = 0 if e.node.attrs.get("transB") else 1
    operands = [e.real((0, 1, 2)), e.real((3, 4, 5), axis=axis)]
    alpha = float(e.node.attrs.get("alpha", 1.0))
    return e.finish("Gemm", operands + e.bias(6, (1, 4), alpha), (7, 8))


def _concat(e: _Expansion) -> list[Operation]:
    parts = [e.real(triple) for triple in _triples(*range(2, len(e.node.inputs), 3))]
    return e.finish("Concat", parts, (0, 1))


def _plain(op: str, count: int) -> Callable[[_Expansion], list[Operation]]:
    """`count` inputs of three parts each, then scale and zero point of the output."""

    def expand(e: _Expansion) -> list[Operation]:
        if e.node.attrs.get("channels_last"):
            raise FormatError(f"node '{e.node.name}' ({e.node.op}) is channels last, which is not supported")
        return e.finish(
            op, [e.real(t) for t in _triples(*range(0, 3 * count, 3))], (3 * count, 3 * count + 1)
        )

    return expand


QOPERATORS: dict[str, Callable[[_Expansion], list[Operation]]] = {
    "QLinearConv": _convolution,
    "QLinearMatMul": _mat_mul,
    "QGemm": _gemm,
    "QLinearConcat": _concat,
    "QLinearAdd": _plain("Add", 2),
    "QLinearMul": _plain("Mul", 2),
    "QLinearAveragePool": _plain("AveragePool", 1),
    "QLinearGlobalAveragePool": _plain("GlobalAveragePool", 1),
    "QLinearSigmoid": _plain("Sigmoid", 1),
    "QLinearLeakyRelu": _plain("LeakyRelu", 1),
    "QLinearSoftmax": _plain("Softmax", 1),
}
QDQ = {"QuantizeLinear": quantize_linear, "DequantizeLinear": dequantize_linear}


def expanded(node: Operation) -> list[Operation]:
    """The node, or what it stands for where it is an operator on quantized values."""
    expand = QOPERATORS.get(node.op)
    return [node] if expand is None else expand(_Expansion(node))
