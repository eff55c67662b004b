"""How each TFLite operator reads in the IR: a table of translators, one line an op.

A translator takes an `Operator` and returns (IR op, input names, attributes). The meaning of options is
that of tensorflow/lite/schema/schema.fbs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tflite

from harness.errors import FormatError
from harness.graph import OPTIONAL, Graph

Translation = tuple[str, list[str], dict]

PADDINGS = {tflite.Padding.SAME: "SAME", tflite.Padding.VALID: "VALID"}
ACTIVATIONS = {
    tflite.ActivationFunctionType.NONE: None,
    tflite.ActivationFunctionType.RELU: "relu",
    tflite.ActivationFunctionType.RELU_N1_TO_1: "relu_n1_to_1",
    tflite.ActivationFunctionType.RELU6: "relu6",
}


@dataclass(frozen=True)
class Operator:
    """One operator: TFLite's op name, the IR name, input tensors, the graph so far, the flatbuffer record."""

    op: str
    name: str
    inputs: list[str]
    graph: Graph
    record: tflite.Operator

    def error(self, problem: str) -> FormatError:
        return FormatError(f"node '{self.name}' ({self.op}) {problem}")

    def args(self, least: int, most: int | None = None) -> list[str]:
        """`least` to `most` inputs, the first `least` of them not left out; trailing gaps are dropped."""
        inputs = list(self.inputs)
        while inputs and inputs[-1] == OPTIONAL:
            inputs.pop()
        most = least if most is None else most
        if not least <= len(inputs) <= most or OPTIONAL in inputs[:least]:
            raise self.error(f"has inputs {inputs}, expected {least} to {most}")
        return inputs

    def options(self, kind: str):
        """The options table of this kind, or None where the file has none: then the defaults hold."""
        table = self.record.BuiltinOptions()
        if table is None:
            return None
        if self.record.BuiltinOptionsType() != getattr(tflite.BuiltinOptions, kind):
            raise self.error(f"has options of type {self.record.BuiltinOptionsType()}, expected {kind}")
        options = getattr(tflite, kind)()
        options.Init(table.Bytes, table.Pos)
        return options

    def required(self, kind: str):
        options = self.options(kind)
        if options is None:
            raise self.error(f"has no {kind}")
        return options

    def activation(self, options) -> str | None:
        number = options.FusedActivationFunction() if options is not None else 0
        if number not in ACTIVATIONS:
            raise self.error(f"has fused activation {number}, which is not supported")
        return ACTIVATIONS[number]

    def window(self, options) -> dict:
        """Stride, padding and activation of a convolution or pooling."""
        if options.Padding() not in PADDINGS:
            raise self.error(f"has padding {options.Padding()}, which is not known")
        return {
            "stride": (options.StrideH(), options.StrideW()),
            "padding": PADDINGS[options.Padding()],
            "activation": self.activation(options),
        }


def convolution(operator: Operator) -> Translation:
    options = operator.required("Conv2DOptions")
    dilation = (options.DilationHFactor(), options.DilationWFactor())
    return "Conv2D", operator.args(2, 3), operator.window(options) | {"dilation": dilation}


def depthwise(operator: Operator) -> Translation:
    options = operator.required("DepthwiseConv2DOptions")
    inputs = operator.args(2, 3)
    x, weights = (operator.graph.tensors[name].shape for name in inputs[:2])
    if len(x) != 4 or len(weights) != 4 or x[3] == 0 or weights[3] % x[3]:
        raise operator.error(f"cannot apply weights {weights} to input {x}")
    attrs = operator.window(options) | {
        "dilation": (options.DilationHFactor(), options.DilationWFactor()),
        "multiplier": weights[3] // x[3],  # TFLite's kernels ignore the one in the options too
    }
    return "DepthwiseConv2D", inputs, attrs


def fully_connected(operator: Operator) -> Translation:
    options = operator.required("FullyConnectedOptions")
    inputs = operator.args(2, 3)
    if options.WeightsFormat() != tflite.FullyConnectedOptionsWeightsFormat.DEFAULT:
        raise operator.error("has shuffled weights, which are not supported")
    if options.KeepNumDims() and len(operator.graph.tensors[inputs[0]].shape) != 2:
        raise operator.error("keeps more than two dimensions, which is not supported")
    return "FullyConnected", inputs, {"activation": operator.activation(options)}


def pool(op: str) -> Callable[[Operator], Translation]:
    def translate(operator: Operator) -> Translation:
        options = operator.required("Pool2DOptions")
        size = {"filter": (options.FilterHeight(), options.FilterWidth())}
        return op, operator.args(1), operator.window(options) | size

    return translate


def binary(op: str) -> Callable[[Operator], Translation]:
    def translate(operator: Operator) -> Translation:
        return op, operator.args(2), {"activation": operator.activation(operator.options(f"{op}Options"))}

    return translate


def plain(op: str, count: int = 1) -> Callable[[Operator], Translation]:
    return lambda operator: (op, operator.args(count), {})


def softmax(operator: Operator) -> Translation:
    return "Softmax", operator.args(1), {"beta": operator.required("SoftmaxOptions").Beta()}


def reshape(operator: Operator) -> Translation:
    """The shape is the second input, or else in the options."""
    inputs = operator.args(1, 2)
    options = operator.options("ReshapeOptions")
    if len(inputs) == 2:
        return "Reshape", inputs, {}
    if options is None or options.NewShapeIsNone():
        raise operator.error("does not say the shape")
    return "Reshape", inputs, {"shape": tuple(options.NewShapeAsNumpy().tolist())}


def mean(operator: Operator) -> Translation:
    options = operator.options("ReducerOptions")
    return "Mean", operator.args(2), {"keep_dims": options is not None and options.KeepDims()}


def concatenation(operator: Operator) -> Translation:
    options = operator.required("ConcatenationOptions")
    attrs = {"axis": options.Axis(), "activation": operator.activation(options)}
    return "Concatenation", operator.args(max(1, len(operator.inputs))), attrs


def mirror_pad(operator: Operator) -> Translation:
    mode = operator.required("MirrorPadOptions").Mode()
    modes = {tflite.MirrorPadMode.REFLECT: "REFLECT", tflite.MirrorPadMode.SYMMETRIC: "SYMMETRIC"}
    if mode not in modes:
        raise operator.error(f"has mode {mode}, which is not known")
    return "MirrorPad", operator.args(2), {"mode": modes[mode]}


def resize_bilinear(operator: Operator) -> Translation:
    options = operator.required("ResizeBilinearOptions")
    flags = {"align_corners": options.AlignCorners(), "half_pixel_centers": options.HalfPixelCenters()}
    return "ResizeBilinear", operator.args(2), flags


def gelu(operator: Operator) -> Translation:
    options = operator.options("GeluOptions")
    return "Gelu", operator.args(1), {"approximate": options is not None and options.Approximate()}


TFLITE_OPS: dict[str, Callable[[Operator], Translation]] = {
    "CONV_2D": convolution,
    "DEPTHWISE_CONV_2D": depthwise,
    "FULLY_CONNECTED": fully_connected,
    "AVERAGE_POOL_2D": pool("AveragePool2D"),
    "MAX_POOL_2D": pool("MaxPool2D"),
    "ADD": binary("Add"),
    "SUB": binary("Sub"),
    "MUL": binary("Mul"),
    "DIV": binary("Div"),
    "SOFTMAX": softmax,
    "RESHAPE": reshape,
    "RELU": plain("Relu"),
    "RELU6": plain("Relu6"),
    "LOGISTIC": plain("Logistic"),
    "TANH": plain("Tanh"),
    "HARD_SWISH": plain("HardSwish"),
    "GELU": gelu,
    "TRANSPOSE": plain("Transpose", 2),
    "SPACE_TO_BATCH_ND": plain("SpaceToBatchND", 3),
    "BATCH_TO_SPACE_ND": plain("BatchToSpaceND", 3),
    "PAD": plain("Pad", 2),
    "MIRROR_PAD": mirror_pad,
    "RESIZE_BILINEAR": resize_bilinear,
    "MEAN": mean,
    "CONCATENATION": concatenation,
    "QUANTIZE": plain("Quantize"),
    "DEQUANTIZE": plain("Dequantize"),
}
