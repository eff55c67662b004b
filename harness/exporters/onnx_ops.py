"""How each op of the IR is written in ONNX: a table, one line an op.

A function takes the writer and the node, adds ONNX nodes and returns the name of the last value with its
form, the permutation of the IR's axes that it is in. The meaning of inputs and attributes is ONNX's operator
specification, opset 17.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from harness.errors import FormatError
from harness.exporters._padding import explicit_padding
from harness.exporters.onnx_writer import Form, Writer, as_it_is
from harness.graph import OPTIONAL, Node, Tensor
from harness.ops.activations import LIMITS
from harness.ops.windows import window_attrs

Written = tuple[str, Form]


def channels_first(rank: int) -> Form:
    """The form with the last axis behind the batch, (0, 3, 1, 2) at rank 4."""
    return (0, rank - 1, *range(1, rank - 1))


def add_activation(writer: Writer, node: Node, last: str) -> str:
    """The activation that is fused into a node, after the value `last`."""
    fused = node.attrs.get("activation")
    return last if fused is None else _clip(writer, node, last, *LIMITS[fused])


def _clip(writer: Writer, node: Node, last: str, low: float, high: float) -> str:
    if high == math.inf:
        return writer.add(node, "Relu", [last])
    limits = [_scalar(writer, value) for value in (low, high)]
    return writer.add(node, "Clip", [last, *limits])


def _scalar(writer: Writer, value: float) -> str:
    return writer.constant(f"{value:g}", np.float32(value))


def _x(writer: Writer, node: Node) -> Tensor:
    return writer.graph.tensors[node.inputs[0]]


# --- convolutions and pools ---


def _convolution(writer: Writer, node: Node) -> Written:
    first = channels_first(4)
    weights = writer.graph.tensors[node.inputs[1]]
    depthwise = node.op == "DepthwiseConv2D"
    # OHWI → OIHW; 1HWC → C1HW, where ONNX's group is one input channel
    inputs = [
        writer.read(node.inputs[0], first),
        writer.read(weights.name, (3, 0, 1, 2) if depthwise else first),
    ]
    if len(node.inputs) == 3 and node.inputs[2] != OPTIONAL:
        inputs.append(writer.read(node.inputs[2]))
    _, dilation, _ = window_attrs(node)
    attrs = {"kernel_shape": weights.shape[1:3], "dilations": dilation}
    attrs["group"] = _x(writer, node).shape[3] if depthwise else 1
    return writer.add(node, "Conv", inputs, **_window(writer, node), **attrs), first


def _pool(op: str, **attrs: int) -> Callable[[Writer, Node], Written]:
    def write(writer: Writer, node: Node) -> Written:
        first = channels_first(4)
        window = _window(writer, node) | {"kernel_shape": node.attrs["filter"]}
        return writer.add(node, op, [writer.read(node.inputs[0], first)], **window, **attrs), first

    return write


def _window(writer: Writer, node: Node) -> dict:
    (top, bottom), (left, right) = explicit_padding(writer.graph, node)
    return {"strides": window_attrs(node)[0], "pads": (top, left, bottom, right)}


# --- matrices and batch norm ---


def _fully_connected(writer: Writer, node: Node) -> Written:
    weights = writer.graph.tensors[node.inputs[1]]
    rows = math.prod(_x(writer, node).shape) // weights.shape[1]
    x = _reshaped(writer, node, (rows, weights.shape[1]))
    inputs = [x, writer.read(weights.name)]
    if len(node.inputs) == 3 and node.inputs[2] != OPTIONAL:
        inputs.append(writer.read(node.inputs[2]))
    return writer.add(node, "Gemm", inputs, transB=1), (0, 1)


def _mat_mul(writer: Writer, node: Node) -> Written:
    forms = [(1, 0) if node.attrs.get(flag) else (0, 1) for flag in ("transpose_a", "transpose_b")]
    inputs = [writer.read(name, form) for name, form in zip(node.inputs, forms, strict=True)]
    return writer.add(node, "MatMul", inputs), (0, 1)


def _batch_norm(writer: Writer, node: Node) -> Written:
    first = channels_first(len(_x(writer, node).shape))
    inputs = [writer.read(node.inputs[0], first), *(writer.read(name) for name in node.inputs[1:])]
    epsilon = float(node.attrs.get("epsilon", 1e-3))
    return writer.add(node, "BatchNormalization", inputs, epsilon=epsilon), first


# --- element by element ---


def _preferred(writer: Writer, names: list[str]) -> Form | None:
    """A form in which one of these activations exists; None where all are constants."""
    return next((form for name in names for form in sorted(writer.forms(name), reverse=True)), None)


def _unary(op: str, **attrs: object) -> Callable[[Writer, Node], Written]:
    """An op in whatever form its input has."""

    def write(writer: Writer, node: Node) -> Written:
        form = _preferred(writer, node.inputs) or as_it_is(_x(writer, node))
        return writer.add(node, op, [writer.read(node.inputs[0], form)], **attrs), form

    return write


def _nothing(writer: Writer, node: Node) -> Written:
    """The input itself: these ops pass it on, and quantizing is part of every value's reading and writing."""
    form = _preferred(writer, node.inputs) or as_it_is(_x(writer, node))
    return writer.read(node.inputs[0], form), form


def _rsqrt(writer: Writer, node: Node) -> Written:
    last, form = _unary("Sqrt")(writer, node)
    return writer.add(node, "Reciprocal", [last]), form


def _of_parts(*steps: tuple[str, str | float | None]) -> Callable[[Writer, Node], Written]:
    """A function of x that ONNX has no op for, as steps (op, second operand): "x", a number, or none."""

    def write(writer: Writer, node: Node) -> Written:
        form = _preferred(writer, node.inputs) or as_it_is(_x(writer, node))
        last = x = writer.read(node.inputs[0], form)
        for op, operand in steps:
            second = [] if operand is None else [x if operand == "x" else _scalar(writer, operand)]
            last = writer.add(node, op, [last, *second])
        return last, form

    return write


def _gelu(writer: Writer, node: Node) -> Written:
    if node.attrs.get("approximate"):  # x · σ(2u) = ½ x (1 + tanh u), u = √(2/π) (x + 0.044715 x³)
        cubic = [
            ("Mul", "x"),
            ("Mul", 0.044715),
            ("Add", 1.0),
            ("Mul", "x"),
            ("Mul", 2 * math.sqrt(2 / math.pi)),
        ]
        return _of_parts(*cubic, ("Sigmoid", None), ("Mul", "x"))(writer, node)
    phi = [("Mul", math.sqrt(0.5)), ("Erf", None), ("Add", 1.0), ("Mul", 0.5)]
    return _of_parts(*phi, ("Mul", "x"))(writer, node)


def _clipped(low: float, high: float) -> Callable[[Writer, Node], Written]:
    def write(writer: Writer, node: Node) -> Written:
        form = _preferred(writer, node.inputs) or as_it_is(_x(writer, node))
        return _clip(writer, node, writer.read(node.inputs[0], form), low, high), form

    return write


def _binary(op: str) -> Callable[[Writer, Node], Written]:
    """Operands of the output's rank in one form; where one has a lower rank, as the IR has them."""

    def write(writer: Writer, node: Node) -> Written:
        tensors = [writer.graph.tensors[name] for name in node.inputs]
        rank = max(len(t.shape) for t in tensors)
        whole = [t.name for t in tensors if len(t.shape) == rank]
        form = _preferred(writer, whole) or tuple(range(rank))
        if any(len(t.shape) not in (rank, 0) and not t.is_const for t in tensors):
            form = tuple(range(rank))
        return writer.add(node, op, [_operand(writer, t, form) for t in tensors]), form

    return write


def _operand(writer: Writer, tensor: Tensor, form: Form) -> str:
    """The operand in this form; a constant of lower rank gets axes of length 1 in front."""
    missing = len(form) - len(tensor.shape)
    if not missing:
        return writer.read(tensor.name, form)
    if not tensor.shape or form == tuple(range(len(form))):
        return writer.read(tensor.name)
    if tensor.quant is not None:
        raise FormatError(f"constant '{tensor.name}' of rank {len(tensor.shape)} is quantized and broadcast")
    values = tensor.data.reshape((1,) * missing + tensor.data.shape)
    return writer.constant(tensor.name, values.transpose(form))


# --- shapes ---


def _shape(writer: Writer, node: Node, shape: tuple[int, ...]) -> str:
    return writer.constant(f"{node.name}/shape", np.array(shape, np.int64))


def _reshaped(writer: Writer, node: Node, shape: tuple[int, ...]) -> str:
    """The node's input reshaped; it is not turned first where the order of its values does not change."""
    x = _x(writer, node)
    form = next(
        (f for f in sorted(writer.forms(x.name)) if _long_axes(x, f) == _long_axes(x, as_it_is(x))), None
    )
    read = writer.read(x.name, form)
    have = tuple(x.shape[axis] for axis in form or as_it_is(x))
    return read if have == shape else writer.add(node, "Reshape", [read, _shape(writer, node, shape)])


def _long_axes(tensor: Tensor, form: Form) -> list[int]:
    """The axes of more than one value, in the order of a form."""
    return [axis for axis in form if tensor.shape[axis] > 1]


def _reshape(writer: Writer, node: Node) -> Written:
    output = writer.graph.tensors[node.outputs[0]]
    return _reshaped(writer, node, output.shape), as_it_is(output)


def _transpose(writer: Writer, node: Node) -> Written:
    perm = [int(axis) for axis in writer.graph.const(node.inputs[1])]
    return writer.read(node.inputs[0], tuple(perm)), tuple(range(len(perm)))


def _pad(writer: Writer, node: Node) -> Written:
    """Pad and MirrorPad."""
    if node.attrs.get("mode") == "SYMMETRIC":
        raise FormatError(f"node '{node.name}' ({node.op}): ONNX has no mode SYMMETRIC")
    x = _x(writer, node)
    form = _preferred(writer, [x.name]) or as_it_is(x)
    pads = np.asarray(writer.graph.const(node.inputs[1]), np.int64)[list(form)]
    inputs = [writer.read(x.name, form), writer.constant(f"{node.name}/pads", pads.T.reshape(-1))]
    if node.attrs.get("value", 0.0):
        inputs.append(_scalar(writer, node.attrs["value"]))
    return writer.add(node, "Pad", inputs, mode="constant" if node.op == "Pad" else "reflect"), form


def _resize(writer: Writer, node: Node) -> Written:
    """Resize, linear along height and width."""
    target, first = writer.graph.tensors[node.outputs[0]], channels_first(4)
    pixels = "half_pixel" if node.attrs.get("half_pixel_centers") else "asymmetric"
    pixels = "align_corners" if node.attrs.get("align_corners") else pixels
    sizes = writer.constant(f"{node.name}/size", np.array(target.shape, np.int64)[list(first)])
    inputs = [writer.read(node.inputs[0], first), "", "", sizes]
    attrs = {"mode": "linear", "coordinate_transformation_mode": pixels}
    return writer.add(node, "Resize", inputs, **attrs), first


def _mean(writer: Writer, node: Node) -> Written:
    """ReduceMean in the input's form; without keep_dims what is left is in order only as the IR has it."""
    x = _x(writer, node)
    axes = [int(axis) % len(x.shape) for axis in np.reshape(writer.graph.const(node.inputs[1]), -1)]
    keep = bool(node.attrs.get("keep_dims"))
    form = _preferred(writer, [x.name]) or as_it_is(x)
    left = [axis for axis in form if axis not in axes]
    if not keep and left != sorted(left):
        form = as_it_is(x)
    where = [form.index(axis) for axis in axes]
    last = writer.add(node, "ReduceMean", [writer.read(x.name, form)], axes=where, keepdims=int(keep))
    return last, form if keep else tuple(range(len(left)))


def _concatenation(writer: Writer, node: Node) -> Written:
    rank = len(_x(writer, node).shape)
    form = _preferred(writer, node.inputs) or tuple(range(rank))
    axis = form.index(node.attrs["axis"] % rank)
    return writer.add(node, "Concat", [writer.read(name, form) for name in node.inputs], axis=axis), form


def _softmax(writer: Writer, node: Node) -> Written:
    x = _x(writer, node)
    form = _preferred(writer, [x.name]) or as_it_is(x)
    read, beta = writer.read(x.name, form), node.attrs.get("beta", 1.0)
    if beta != 1.0:
        read = writer.add(node, "Mul", [read, _scalar(writer, beta)])
    return writer.add(node, "Softmax", [read], axis=form.index(len(form) - 1)), form


OPS: dict[str, Callable[[Writer, Node], Written]] = {
    "Conv2D": _convolution,
    "DepthwiseConv2D": _convolution,
    "FullyConnected": _fully_connected,
    "MatMul": _mat_mul,
    "BiasAdd": _binary("Add"),
    "BatchNorm": _batch_norm,
    "AveragePool2D": _pool("AveragePool", count_include_pad=0),
    "MaxPool2D": _pool("MaxPool"),
    "Add": _binary("Add"),
    "Sub": _binary("Sub"),
    "Mul": _binary("Mul"),
    "Div": _binary("Div"),
    "Rsqrt": _rsqrt,
    "Relu": _unary("Relu"),
    "Relu6": _clipped(0, 6),
    "Logistic": _unary("Sigmoid"),
    "Tanh": _unary("Tanh"),
    "Erf": _unary("Erf"),
    "Swish": _of_parts(("Sigmoid", None), ("Mul", "x")),
    "HardSwish": _unary("HardSwish"),
    "Gelu": _gelu,
    "Softmax": _softmax,
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "Transpose": _transpose,
    "Pad": _pad,
    "MirrorPad": _pad,
    "ResizeBilinear": _resize,
    "Mean": _mean,
    "Concatenation": _concatenation,
    "Quantize": _nothing,
    "Dequantize": _nothing,
    "Identity": _nothing,
    "PlaceholderWithDefault": _nothing,
    "CheckNumerics": _nothing,
    "StopGradient": _nothing,
}
