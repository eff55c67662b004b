"""Arithmetic on two tensors, activations, softmax, means and conversions."""

from __future__ import annotations

from harness.importers.tflite_operator import Operator, Translation, Translator, plain


def binary(op: str) -> Translator:
    def translate(operator: Operator) -> Translation:
        return op, operator.args(2), {"activation": operator.activation(operator.options(f"{op}Options"))}

    return translate


def softmax(operator: Operator) -> Translation:
    return "Softmax", operator.args(1), {"beta": operator.required("SoftmaxOptions").Beta()}


def mean(operator: Operator) -> Translation:
    options = operator.options("ReducerOptions")
    return "Mean", operator.args(2), {"keep_dims": options is not None and options.KeepDims()}


def gelu(operator: Operator) -> Translation:
    options = operator.options("GeluOptions")
    return "Gelu", operator.args(1), {"approximate": options is not None and options.Approximate()}


OPERATORS = {
    "ADD": binary("Add"),
    "SUB": binary("Sub"),
    "MUL": binary("Mul"),
    "DIV": binary("Div"),
    "SOFTMAX": softmax,
    "RELU": plain("Relu"),
    "RELU6": plain("Relu6"),
    "LOGISTIC": plain("Logistic"),
    "TANH": plain("Tanh"),
    "HARD_SWISH": plain("HardSwish"),
    "GELU": gelu,
    "MEAN": mean,
    "QUANTIZE": plain("Quantize"),
    "DEQUANTIZE": plain("Dequantize"),
}
