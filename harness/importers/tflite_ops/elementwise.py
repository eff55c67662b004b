"""Arithmetic on two tensors, comparisons, functions of one tensor, conversions."""

from __future__ import annotations

import numpy as np

from harness.importers.tflite_operator import Operator, Translation, Translator, plain

DTYPES = {0: "float32", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8"}


def dtype_of(operator: Operator, number: int) -> str:
    """A dtype from its number in the schema's TensorType."""
    if number not in DTYPES:
        raise operator.error(f"makes values of type {number}, which is not supported")
    return DTYPES[number]


def binary(op: str) -> Translator:
    def translate(operator: Operator) -> Translation:
        return op, operator.args(2), {"activation": operator.activation(operator.options(f"{op}Options"))}

    return translate


def sum_or_difference(op: str) -> Translator:
    """TFLite computes int16 of scales that are powers of two otherwise, unless the options say not to."""

    def translate(operator: Operator) -> Translation:
        options = operator.options(f"{op}Options")
        tensors = [operator.graph.tensors[name] for name in (*operator.args(2), operator.outputs[0])]
        quants = [tensor.quant for tensor in tensors if tensor.dtype == np.int16 and tensor.quant is not None]
        powers = [abs(np.log2(quant.scale[0]) % 1 - 0.5) > 0.499 for quant in quants]
        if len(powers) == 3 and all(powers) and (options is None or options.PotScaleInt16()):
            raise operator.error("adds int16 by shifts (pot_scale_int16), which is not supported")
        return binary(op)(operator)

    return translate


def cast(operator: Operator) -> Translation:
    """To the dtype of the output: the options may leave it out."""
    dtype = operator.graph.tensors[operator.outputs[0]].dtype
    return "Cast", operator.args(1), {"dtype": str(dtype)}


def select(operator: Operator) -> Translation:
    """SELECT's condition may have the first dimension only, which broadcasting cannot say."""
    condition, a, _ = inputs = operator.args(3)
    shape, whole = (operator.graph.tensors[name].shape for name in (condition, a))
    if len(shape) == 1 and len(whole) > 1:
        raise operator.error("selects whole slices by a list, which is not supported")
    return "Select", inputs, {}


OPERATORS = {
    "ADD": sum_or_difference("Add"),
    "SUB": sum_or_difference("Sub"),
    "MUL": binary("Mul"),
    "DIV": binary("Div"),
    "ABS": plain("Abs"),
    "ADD_N": lambda operator: ("AddN", operator.args(max(1, len(operator.inputs))), {}),
    "CAST": cast,
    "CEIL": plain("Ceil"),
    "COS": plain("Cos"),
    "DEQUANTIZE": plain("Dequantize"),
    "EQUAL": plain("Equal", 2),
    "EXP": plain("Exp"),
    "FLOOR": plain("Floor"),
    "FLOOR_DIV": plain("FloorDiv", 2),
    "FLOOR_MOD": plain("FloorMod", 2),
    "GREATER": plain("Greater", 2),
    "GREATER_EQUAL": plain("GreaterEqual", 2),
    "LESS": plain("Less", 2),
    "LESS_EQUAL": plain("LessEqual", 2),
    "LOG": plain("Log"),
    "LOGICAL_AND": plain("LogicalAnd", 2),
    "LOGICAL_NOT": plain("LogicalNot"),
    "LOGICAL_OR": plain("LogicalOr", 2),
    "MAXIMUM": plain("Maximum", 2),
    "MINIMUM": plain("Minimum", 2),
    "NEG": plain("Neg"),
    "NOT_EQUAL": plain("NotEqual", 2),
    "POW": plain("Pow", 2),
    "QUANTIZE": plain("Quantize"),
    "ROUND": plain("Round"),
    "RSQRT": plain("Rsqrt"),
    "SELECT": select,
    "SELECT_V2": plain("Select", 3),
    "SIN": plain("Sin"),
    "SQRT": plain("Sqrt"),
    "SQUARE": plain("Square"),
    "SQUARED_DIFFERENCE": plain("SquaredDifference", 2),
}
