"""Activations and normalizations."""

from __future__ import annotations

from harness.importers.tflite_operator import Operator, Translation, plain


def gelu(operator: Operator) -> Translation:
    options = operator.options("GeluOptions")
    return "Gelu", operator.args(1), {"approximate": options is not None and options.Approximate()}


def leaky_relu(operator: Operator) -> Translation:
    return "LeakyRelu", operator.args(1), {"alpha": operator.required("LeakyReluOptions").Alpha()}


def l2_normalization(operator: Operator) -> Translation:
    if operator.activation(operator.options("L2NormOptions")) is not None:
        raise operator.error("has a fused activation, which is not supported")
    return "L2Normalization", operator.args(1), {}


def softmax(operator: Operator) -> Translation:
    return "Softmax", operator.args(1), {"beta": operator.required("SoftmaxOptions").Beta()}


OPERATORS = {
    "ELU": plain("Elu"),
    "GELU": gelu,
    "HARD_SWISH": plain("HardSwish"),
    "L2_NORMALIZATION": l2_normalization,
    "LEAKY_RELU": leaky_relu,
    "LOGISTIC": plain("Logistic"),
    "LOG_SOFTMAX": plain("LogSoftmax"),
    "PRELU": plain("Prelu", 2),
    "RELU": plain("Relu"),
    "RELU6": plain("Relu6"),
    "RELU_N1_TO_1": plain("ReluN1To1"),
    "SOFTMAX": softmax,
    "TANH": plain("Tanh"),
}
