"""How ONNX's normalizations, reductions and functions read in the IR: a table of translators."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from harness.importers.onnx_shape_ops import reshaped
from harness.importers.onnx_source import Source
from harness.importers.onnx_values import Value, channels_last

Translator = Callable[[Source], Value | list[Value]]
LARGEST = float(np.finfo(np.float32).max)


# --- normalization ---


def batch_norm(source: Source) -> Value:
    x, *parameters = source.args(5)
    form = channels_last(x.rank)
    inputs = [source.read(x, form), *map(source.read, parameters)]
    return source.node("BatchNorm", inputs, form, epsilon=float(source.attr("epsilon", 1e-5)))


def layer_norm(source: Source) -> Value:
    """(x − mean) / √(variance + ε) · scale + bias over the last axes."""
    x, scale, *bias = source.args(2, 3)
    first = source.axis(int(source.attr("axis", -1)), x.rank)
    y = _normalized(source, x, range(first, x.rank))
    y = source.binary("Mul", y, scale)
    return source.binary("Add", y, bias[0]) if bias else y


def instance_norm(source: Source) -> Value:
    x, *parameters = source.args(3)
    y = _normalized(source, source.image(x), (2, 3))
    scale, bias = (reshaped(source, p, (1, p.shape[0], 1, 1)) for p in parameters)
    return source.binary("Add", source.binary("Mul", y, scale), bias)


def _normalized(source: Source, x: Value, axes) -> Value:
    centred = source.binary("Sub", x, mean_over(source, x, axes))
    variance = mean_over(source, source.binary("Mul", centred, centred), axes)
    epsilon = source.scalar(float(source.attr("epsilon", 1e-5)))
    return source.binary("Mul", centred, source.unary("Rsqrt", source.binary("Add", variance, epsilon)))


# --- reductions ---


def mean_over(source: Source, x: Value, axes) -> Value:
    """The mean over ONNX axes, kept with length 1."""
    return _reduction(source, "Mean", x, list(axes), True)


def _reduction(source: Source, op: str, x: Value, axes: list[int], keep: bool) -> Value:
    form = x.form
    where = source.perm([form.index(axis) for axis in axes])
    left = [axis for axis in form if keep or axis not in axes]
    after = tuple(sorted(left).index(axis) for axis in left)
    return source.node(op, [source.read(x, form), where], after, keep_dims=keep)


def extreme_place(op: str) -> Translator:
    """ArgMax or ArgMin: int64 indices of the first of the extremes."""

    def translate(source: Source) -> Value:
        x = source.args(1)[0]
        axis = source.axis(int(source.attr("axis", 0)), x.rank)
        if source.flag("select_last_index"):
            raise source.error("selects the last of equal values, which is not supported")
        form = x.form
        left = [a for a in form if a != axis]
        after = tuple(sorted(left).index(a) for a in left)
        y = source.node(op, [source.read(x, form), source.perm([form.index(axis)])], after)
        if not source.flag("keepdims", 1):
            return y
        return reshaped(source, y, tuple(1 if a == axis else d for a, d in enumerate(x.shape)))

    return translate


def reduce(op: str) -> Translator:
    def translate(source: Source) -> Value:
        x = source.args(1, 2)[0]
        axes = source.ints(1, "axes") or []
        if not axes and source.flag("noop_with_empty_axes"):
            return x
        axes = [source.axis(axis, x.rank) for axis in axes or range(x.rank)]
        return _reduction(source, op, x, axes, source.flag("keepdims", 1))

    return translate


# --- element by element ---


def unary(op: str) -> Translator:
    return lambda source: source.unary(op, *source.args(1))


def binary(op: str) -> Translator:
    return lambda source: source.binary(op, *source.args(2))


def chain(op: str) -> Translator:
    """An op of one or more inputs as one of two, again and again."""

    def translate(source: Source) -> Value:
        first, *others = source.args(1, max(1, len(source.inputs)))
        for other in others:
            first = source.binary(op, first, other)
        return first

    return translate


def power(source: Source) -> Value:
    x, exponent = source.args(2)
    known = None if exponent.data is None or exponent.data.size != 1 else float(exponent.data.reshape(()))
    if known == 2.0:
        return source.unary("Square", x)
    if known == 0.5:
        return source.unary("Sqrt", x)
    return source.binary("Pow", x, exponent)


def reciprocal(source: Source) -> Value:
    return source.binary("Div", source.scalar(1), *source.args(1))


def clipped(source: Source, x: Value, low: float, high: float) -> Value:
    if low == 0 and high in (6.0, math.inf):
        return source.unary("Relu6" if high == 6.0 else "Relu", x)
    if (low, high) == (-1.0, 1.0):
        return source.unary("ReluN1To1", x)
    if low > -math.inf:
        x = source.binary("Maximum", x, source.scalar(low))
    return source.binary("Minimum", x, source.scalar(high)) if high < math.inf else x


def clip(source: Source) -> Value:
    limits = []
    for index, (name, default) in enumerate((("min", -LARGEST), ("max", LARGEST)), start=1):
        data = source.known(index, "limits") if len(source.inputs) > index else None
        limits.append(float(source.attr(name, default) if data is None else np.reshape(data, ())))
    low, high = (limit if abs(limit) < LARGEST else math.copysign(math.inf, limit) for limit in limits)
    return clipped(source, source.inputs[0], low, high)


def hard_sigmoid(source: Source) -> Value:
    """min(max(alpha · x + beta, 0), 1)."""
    alpha, beta = float(source.attr("alpha", 0.2)), float(source.attr("beta", 0.5))
    return _hard_sigmoid(source, source.args(1)[0], alpha, beta)


def _hard_sigmoid(source: Source, x: Value, alpha: float, beta: float) -> Value:
    if math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
        clamped = source.unary("Relu6", source.binary("Add", x, source.scalar(3)))
        return source.binary("Mul", clamped, source.scalar(1 / 6))
    line = source.binary("Mul", x, source.scalar(alpha))
    return clipped(source, source.binary("Add", line, source.scalar(beta)), 0.0, 1.0)


def leaky_relu(source: Source) -> Value:
    return source.unary("LeakyRelu", *source.args(1), alpha=float(source.attr("alpha", 0.01)))


def elu(source: Source) -> Value:
    if source.attr("alpha", 1.0) != 1.0:
        raise source.error(f"has alpha {source.attr('alpha')}; only 1 is supported")
    return source.unary("Elu", *source.args(1))


def gelu(source: Source) -> Value:
    approximate = source.attr("approximate", "none") == "tanh"
    return source.unary("Gelu", *source.args(1), approximate=approximate)


def softmax(op: str) -> Translator:
    """Over one axis; before opset 13 over all from that one on."""

    def translate(source: Source) -> Value:
        x = source.args(1)[0]
        axis = source.axis(int(source.attr("axis", -1 if source.opset >= 13 else 1)), x.rank)
        if source.opset < 13 and math.prod(x.shape[axis + 1 :]) > 1:
            rows = (math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))
            flat = source.unary(op, reshaped(source, x, rows))
            return reshaped(source, flat, x.shape)
        form = (*(a for a in x.form if a != axis), axis)
        return source.node(op, [source.read(x, form)], form)

    return translate


FUNCTIONS: dict[str, Translator] = {
    "BatchNormalization": batch_norm,
    "InstanceNormalization": instance_norm,
    "LayerNormalization": layer_norm,
    "ReduceMean": reduce("Mean"),
    "ReduceSum": reduce("Sum"),
    "ReduceMax": reduce("ReduceMax"),
    "ReduceMin": reduce("ReduceMin"),
    "ArgMax": extreme_place("ArgMax"),
    "ArgMin": extreme_place("ArgMin"),
    "Relu": unary("Relu"),
    "Clip": clip,
    "LeakyRelu": leaky_relu,
    "PRelu": binary("Prelu"),
    "Sigmoid": unary("Logistic"),
    "HardSigmoid": hard_sigmoid,
    "HardSwish": unary("HardSwish"),
    "Tanh": unary("Tanh"),
    "Elu": elu,
    "Gelu": gelu,
    "Erf": unary("Erf"),
    "Softmax": softmax("Softmax"),
    "LogSoftmax": softmax("LogSoftmax"),
    "Add": binary("Add"),
    "Sub": binary("Sub"),
    "Mul": binary("Mul"),
    "Div": binary("Div"),
    "Pow": power,
    "Min": chain("Minimum"),
    "Max": chain("Maximum"),
    "Sum": chain("Add"),
    "Sqrt": unary("Sqrt"),
    "Reciprocal": reciprocal,
    "Exp": unary("Exp"),
    "Log": unary("Log"),
    "Abs": unary("Abs"),
    "Neg": unary("Neg"),
    "Floor": unary("Floor"),
    "Ceil": unary("Ceil"),
    "Round": unary("Round"),
}
