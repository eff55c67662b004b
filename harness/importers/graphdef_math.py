"""How TensorFlow's arithmetic, comparisons and reductions read in the IR; the rest is in `graphdef_ops`."""

from __future__ import annotations

from collections.abc import Callable

from harness.importers.graphdef_ops import Source, Translation, plain, shaped

DTYPES = {1: "float32", 3: "int32", 4: "uint8", 6: "int8", 9: "int64", 10: "bool"}  # of types.proto
UNARY = ("Abs", "Ceil", "Cos", "Elu", "Exp", "Floor", "Log", "LogicalNot", "LogSoftmax", "Neg", "Round")
UNARY += ("Sin", "Sqrt", "Square")
BINARY = ("Equal", "FloorDiv", "FloorMod", "Greater", "GreaterEqual", "Less", "LessEqual", "LogicalAnd")
BINARY += ("LogicalOr", "Maximum", "Minimum", "NotEqual", "Pow", "SquaredDifference")
REDUCTIONS = {
    "All": "ReduceAll",
    "Any": "ReduceAny",
    "Max": "ReduceMax",
    "Min": "ReduceMin",
    "Prod": "ReduceProd",
    "Sum": "Sum",
}


def _dtype(source: Source, attribute: str) -> dict:
    number = source.attr(attribute, "type", 1)
    if number not in DTYPES:
        raise source.error(f"is of a data type that is not supported ({number})")
    return {"dtype": DTYPES[number]}


def cast(source: Source) -> Translation:
    return "Cast", source.args(1), _dtype(source, "DstT")


def leaky_relu(source: Source) -> Translation:
    return "LeakyRelu", source.args(1), {"alpha": source.attr("alpha", "f", 0.2)}


def arg_extreme(op: str) -> Callable[[Source], Translation]:
    def translate(source: Source) -> Translation:
        x, axis = source.args(2)
        number = source.attr("output_type", "type", 9)
        return op, [x, source.behind_identity(axis)], {"dtype": DTYPES.get(number, "int64")}

    return translate


MATH_OPS: dict[str, Callable[[Source], Translation]] = {
    **{op: plain(op, 1) for op in UNARY},
    **{op: plain(op, 2) for op in BINARY},
    **{op: shaped(ours, keep_dims=("keep_dims", "b", False)) for op, ours in REDUCTIONS.items()},
    "AddN": lambda source: ("AddN", source.inputs, {}),
    "ArgMax": arg_extreme("ArgMax"),
    "ArgMin": arg_extreme("ArgMin"),
    "Cast": cast,
    "LeakyRelu": leaky_relu,
    "Rint": plain("Round", 1),
    "SelectV2": plain("Select", 3),
}
