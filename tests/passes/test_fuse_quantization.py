import numpy as np
import pytest

from harness.graph import Quantization
from harness.passes import fuse_quantization
from tests.support.graphs import Builder

X, Y = Quantization(0.05, 3), Quantization(0.1, -7)


class Quantized(Builder):
    """Adds values between Quantize and Dequantize."""

    def quantize(self, x: str, quant: Quantization) -> str:
        y = self.node("Quantize", x)
        self.graph.tensors[y].dtype, self.graph.tensors[y].quant = np.dtype(np.int8), quant
        return y

    def real(self, x: str, quant: Quantization = X) -> str:
        return self.node("Dequantize", self.quantize(x, quant))

    def weights(self, shape, axis: int = 0, zero: int = 0) -> str:
        values = np.random.default_rng(0).integers(-9, 9, shape).astype(np.int8)
        name = self.const(values, "w")
        scale = np.full(shape[axis], 0.01, np.float32)
        self.graph.tensors[name].quant = Quantization(scale, np.full(shape[axis], zero), axis)
        return self.node("Dequantize", name)


def fused(b: Quantized, y: str, quant: Quantization = Y):
    graph = b.build(b.node("Dequantize", b.quantize(y, quant)))
    return fuse_quantization.run(graph)


def ops(graph):
    return [node.op for node in graph.execution_order()]


@pytest.mark.parametrize("dequantized", [False, True])
def test_a_convolution_with_its_bias(dequantized):
    b = Quantized()
    x, w = b.real(b.input((1, 4, 4, 2))), b.weights((3, 1, 1, 2))
    values = np.array([0.1, -0.2, 0.3], np.float32)
    bias = b.const(values, "bias")
    if dequantized:
        quant = Quantization(np.full(3, 0.0005), np.zeros(3), 0)
        stored = b.const(quant.quantize(values, np.int32), "stored")
        b.graph.tensors[stored].quant = quant
        bias = b.node("Dequantize", stored)
    graph = fused(b, b.node("Conv2D", x, w, bias, activation="relu"))
    assert ops(graph) == ["Quantize", "Conv2D", "Dequantize"]
    (node,) = [n for n in graph.nodes if n.op == "Conv2D"]
    tensors = [graph.tensors[name] for name in (*node.inputs, *node.outputs)]
    assert [t.dtype for t in tensors] == [np.int8, np.int8, np.int32, np.int8]
    np.testing.assert_array_equal(tensors[2].data, [200, -400, 600])
    assert tensors[3].quant.zero_point == -7


def test_ops_of_one_scale_are_rescaled_behind():
    b = Quantized()
    graph = fused(b, b.node("MaxPool2D", b.real(b.input((1, 4, 4, 2))), filter=(2, 2)))
    assert ops(graph) == ["Quantize", "MaxPool2D", "Quantize", "Dequantize"]
    graph = fused(b2 := Quantized(), b2.node("MaxPool2D", b2.real(b2.input((1, 4, 4, 2))), filter=(2, 2)), X)
    assert ops(graph) == ["Quantize", "MaxPool2D", "Dequantize"]


def test_parts_of_a_concatenation_are_rescaled_before():
    b = Quantized()
    x = b.input((1, 2, 2, 3))
    graph = fused(b, b.node("Concatenation", b.real(x, X), b.real(x, Y), axis=3))
    assert sorted(ops(graph)) == sorted(["Quantize"] * 3 + ["Concatenation", "Dequantize"])
    (node,) = [n for n in graph.nodes if n.op == "Concatenation"]
    assert {float(graph.tensors[name].quant.scale[0]) for name in node.inputs} == {float(Y.scale[0])}


def test_moved_values_stay_stored():
    b = Quantized()
    x = b.real(b.input((1, 4, 4, 2)))
    pads = b.const(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32), "pads")
    y = b.node("AveragePool2D", b.node("Pad", x, pads), filter=(3, 3))
    graph = fused(b, y, X)
    for _ in range(2):
        graph = fuse_quantization.run(graph)
    assert [graph.tensors[n.outputs[0]].dtype for n in graph.nodes if n.op in ("Pad", "AveragePool2D")] == [
        np.int8
    ] * 2


@pytest.mark.parametrize(
    "op",
    [
        lambda b, x: b.node("Softmax", x),  # its kernel has another scale
        lambda b, x: b.node("Erf", x),  # no kernel
        lambda b, x: b.node("Mul", x, b.const(2.0)),  # a float operand
        lambda b, x: b.node("Mean", x, b.const(np.array([1, 2], np.int32))),  # the kernel cuts off 1.5 - 1
    ],
)
def test_what_has_no_such_integer_arithmetic_stays(op):
    b = Quantized()
    y = op(b, b.real(b.input((1, 4, 4, 2))))
    before = b.build(b.node("Dequantize", b.quantize(y, Y)))
    assert ops(fuse_quantization.run(before)) == ops(before)


def test_a_value_that_something_else_reads_stays_real():
    b = Quantized()
    y = b.node("Relu", b.real(b.input((1, 4))))
    graph = b.build(b.node("Dequantize", b.quantize(y, Y)), y)
    assert ops(fuse_quantization.run(graph)) == ops(graph)


def test_a_quantized_constant_of_a_float_op_is_its_values():
    b = Quantized()
    x = b.input((1, 2, 2, 3))
    parameters = [b.weights((3,)), *(b.const(np.ones(3), f"p{i}") for i in range(3))]
    graph = fuse_quantization.run(b.build(b.node("BatchNorm", x, *parameters)))
    (node,) = [n for n in graph.nodes if n.op == "BatchNorm"]
    assert graph.const(node.inputs[1]).dtype == np.float32
