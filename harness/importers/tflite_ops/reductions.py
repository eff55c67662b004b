"""Reductions over axes, the places of extremes, and running sums."""

from __future__ import annotations

from harness.importers.tflite_operator import Operator, Translation, Translator
from harness.importers.tflite_ops.elementwise import dtype_of


def reduction(op: str) -> Translator:
    def translate(operator: Operator) -> Translation:
        options = operator.options("ReducerOptions")
        return op, operator.args(2), {"keep_dims": options is not None and options.KeepDims()}

    return translate


def arg_extreme(op: str) -> Translator:
    def translate(operator: Operator) -> Translation:
        options = operator.required(f"{op}Options")
        return op, operator.args(2), {"dtype": dtype_of(operator, options.OutputType())}

    return translate


def cumulative_sum(operator: Operator) -> Translation:
    options = operator.options("CumsumOptions")
    flags = {"exclusive": False, "reverse": False}
    if options is not None:
        flags = {"exclusive": options.Exclusive(), "reverse": options.Reverse()}
    return "CumSum", operator.args(2), flags


OPERATORS = {
    "ARG_MAX": arg_extreme("ArgMax"),
    "ARG_MIN": arg_extreme("ArgMin"),
    "CUMSUM": cumulative_sum,
    "MEAN": reduction("Mean"),
    "REDUCE_ALL": reduction("ReduceAll"),
    "REDUCE_ANY": reduction("ReduceAny"),
    "REDUCE_MAX": reduction("ReduceMax"),
    "REDUCE_MIN": reduction("ReduceMin"),
    "REDUCE_PROD": reduction("ReduceProd"),
    "SUM": reduction("Sum"),
}
