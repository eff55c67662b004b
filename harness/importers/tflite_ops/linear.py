"""Convolutions, fully connected layers and pools."""

from __future__ import annotations

import tflite

from harness.importers.tflite_operator import Operator, Translation, Translator


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
    attrs = {"activation": operator.activation(options)}
    return "FullyConnected", inputs, attrs | ({"keep_dims": True} if options.KeepNumDims() else {})


def pool(op: str) -> Translator:
    def translate(operator: Operator) -> Translation:
        options = operator.required("Pool2DOptions")
        size = {"filter": (options.FilterHeight(), options.FilterWidth())}
        return op, operator.args(1), operator.window(options) | size

    return translate


def batch_matmul(operator: Operator) -> Translation:
    options = operator.options("BatchMatMulOptions")
    flags = {} if options is None else {"adj_x": options.AdjX(), "adj_y": options.AdjY()}
    return "BatchMatMul", operator.args(2), flags


def transpose_conv(operator: Operator) -> Translation:
    """TFLite puts the output's shape first and the images third."""
    options = operator.required("TransposeConvOptions")
    shape, weights, x, *bias = operator.args(3, 4)
    target = operator.integers(shape, "the output's shape")
    if len(target) != 4:
        raise operator.error(f"has an output of shape {target}, expected rank 4")
    return "TransposeConv2D", [x, weights, *bias], operator.window(options) | {"size": tuple(target[1:3])}


OPERATORS = {
    "CONV_2D": convolution,
    "DEPTHWISE_CONV_2D": depthwise,
    "FULLY_CONNECTED": fully_connected,
    "TRANSPOSE_CONV": transpose_conv,
    "BATCH_MATMUL": batch_matmul,
    "AVERAGE_POOL_2D": pool("AveragePool2D"),
    "MAX_POOL_2D": pool("MaxPool2D"),
}
