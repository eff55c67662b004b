"""How each op of the IR is written in TensorFlow: a table, one line an op.

A function takes the writer and the node, adds NodeDefs and returns the name of the last. The meaning of
inputs and attributes is TensorFlow's op definition (tensorflow/core/ops/*.cc).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from harness.errors import FormatError
from harness.exporters._padding import explicit_padding, padding_name
from harness.exporters.graphdef_writer import Writer, expanded
from harness.graph import OPTIONAL, Graph, Node
from harness.ops.images import FusedResizeAndPadConv2D
from harness.ops.windows import window_attrs

F32 = np.dtype(np.float32)
CONVOLUTIONS = {"Conv2D", "DepthwiseConv2D", "FusedResizeAndPadConv2D"}
FROM_HWIO, TO_HWIO = (3, 0, 1, 2), (1, 2, 3, 0)


# --- weights ---


def absorbed(graph: Graph) -> set[str]:
    """Names of nodes that are not written: those that expand int8 weights, which every reader does, and those
    that turn weights from TensorFlow's layout, as importing adds them.
    """
    producers, readers = graph.producers(), graph.consumers()

    def only_weights(name: str) -> bool:
        slots = [(node, i) for node in readers[name] for i, read in enumerate(node.inputs) if read == name]
        return name not in graph.outputs and all(
            i == 1 and _unturned(graph, node, producers) is not None for node, i in slots
        )

    found = {node.inputs[1] for node in graph.nodes if _unturned(graph, node, producers) is not None}
    turned = {producers[name].name for name in found if only_weights(name)}
    return turned | {producers[name].name for name in expanded(graph)}


def _unturned(graph: Graph, node: Node, producers: dict[str, Node]) -> str | None:
    """The tensor in TensorFlow's layout of which a Transpose or Reshape makes this node's weights."""
    before = producers.get(node.inputs[1]) if node.op in CONVOLUTIONS else None
    if before is None:
        return None
    source = before.inputs[0]
    if node.op != "DepthwiseConv2D":
        turned = before.op == "Transpose" and tuple(graph.const(before.inputs[1])) == FROM_HWIO
    else:
        turned = before.op == "Reshape" and graph.tensors[source].shape == _hwcm(graph, node)
    return source if turned else None


def _hwcm(graph: Graph, node: Node) -> tuple[int, ...]:
    """Shape of depthwise weights in TensorFlow: height, width, channels, multiplier."""
    _, height, width, channels = graph.tensors[node.inputs[1]].shape
    multiplier = node.attrs.get("multiplier", 1)
    return height, width, channels // multiplier, multiplier


def _filter(writer: Writer, node: Node) -> str:
    """The weights of a convolution in TensorFlow's layout."""
    tensor = writer.const(node.inputs[1])
    depthwise = node.op == "DepthwiseConv2D"
    if tensor is None:
        source = _unturned(writer.graph, node, writer.producers)
        if source is not None:
            return writer.read(source)
        read = writer.read(node.inputs[1])
        if depthwise:
            return _reshaped(writer, node, read, _hwcm(writer.graph, node))
        order = writer.constant(f"{node.name}/HWIO", np.array(TO_HWIO, np.int32))
        return writer.add(node, "Transpose", [read, order])
    if not depthwise:
        return writer.weights(tensor, tensor.data.transpose(TO_HWIO), 3)
    shape = _hwcm(writer.graph, node)
    if tensor.quant is not None and tensor.quant.per_channel and shape[3] > 1:
        read = writer.read(node.inputs[1])  # the scales lie along two dimensions of HWCM: turn it afterwards
        return _reshaped(writer, node, read, shape)
    return writer.weights(tensor, tensor.data.reshape(shape), 2)


def _reshaped(writer: Writer, node: Node, read: str, shape: tuple[int, ...]) -> str:
    target = writer.constant(f"{node.name}/shape", np.array(shape, np.int32))
    return writer.add(node, "Reshape", [read, target])


def _add_bias(writer: Writer, node: Node, last: str) -> str:
    if len(node.inputs) < 3 or node.inputs[2] == OPTIONAL:
        return last
    return writer.add(node, "BiasAdd", [last, writer.read(node.inputs[2])])


def add_activation(writer: Writer, node: Node, last: str) -> str:
    """The activation that is fused into a node, after the NodeDef `last`."""
    fused = node.attrs.get("activation")
    if fused is None:
        return last
    if fused != "relu_n1_to_1":
        return writer.add(node, fused.capitalize(), [last])
    low, high = (
        writer.constant(f"{node.name}/{name}", np.float32(v)) for name, v in (("low", -1), ("high", 1))
    )
    return writer.add(node, "Minimum", [writer.add(node, "Maximum", [last, low]), high])


# --- convolutions and pools ---


def _window(graph: Graph, node: Node) -> dict:
    stride, _, _ = window_attrs(node)
    return {"T": F32, "strides": (1, *stride, 1), "padding": padding_name(graph, node) or "EXPLICIT"}


def _explicit(graph: Graph, node: Node, attrs: dict) -> dict:
    """`attrs` with the padding in numbers where it is neither SAME nor VALID."""
    (top, bottom), (left, right) = explicit_padding(graph, node)
    pads = (0, 0, top, bottom, left, right, 0, 0) if attrs["padding"] == "EXPLICIT" else ()
    return attrs | {"explicit_paddings": pads}


def _convolution(op: str) -> Callable[[Writer, Node], str]:
    def write(writer: Writer, node: Node) -> str:
        stride, dilation, _ = window_attrs(node)
        if op != "Conv2D" and stride[0] != stride[1]:
            raise FormatError(f"node '{node.name}' ({node.op}): TensorFlow has no stride {stride} for it")
        attrs = _explicit(writer.graph, node, _window(writer.graph, node))
        attrs["dilations"] = (1, *dilation, 1)
        inputs = [writer.read(node.inputs[0]), _filter(writer, node)]
        return _add_bias(writer, node, writer.add(node, op, inputs, attrs))

    return write


def _fused_convolution(writer: Writer, node: Node) -> str:
    """FusedResizeAndPadConv2D, or FusedPadConv2D where nothing is resized."""
    given = FusedResizeAndPadConv2D.defaults | node.attrs
    op, read = "FusedPadConv2D", [writer.read(node.inputs[0])]
    attrs = {"T": F32, "mode": given["mode"], "strides": (1, *given["stride"], 1), "padding": "VALID"}
    if given["size"] is not None:
        op = "FusedResizeAndPadConv2D"
        read.append(writer.constant(f"{node.name}/size", np.array(given["size"], np.int32)))
        attrs["resize_align_corners"] = given["align_corners"]
    paddings = np.array([(0, 0), *given["pads"], (0, 0)], np.int32)
    read += [writer.constant(f"{node.name}/paddings", paddings), _filter(writer, node)]
    return _add_bias(writer, node, writer.add(node, op, read, attrs))


def _mirror_pad(writer: Writer, node: Node) -> str:
    paddings = np.asarray(writer.graph.const(node.inputs[1])).astype(np.int32)
    read = [writer.read(node.inputs[0]), writer.constant(f"{node.name}/paddings", paddings)]
    return writer.add(node, "MirrorPad", read, {"T": F32, "mode": node.attrs.get("mode", "REFLECT")})


def _pool(op: str) -> Callable[[Writer, Node], str]:
    def write(writer: Writer, node: Node) -> str:
        attrs = _window(writer.graph, node) | {"ksize": (1, *node.attrs["filter"], 1)}
        if op == "MaxPool":
            attrs = _explicit(writer.graph, node, attrs)
        elif attrs["padding"] == "EXPLICIT":
            raise FormatError(f"node '{node.name}' ({node.op}): TensorFlow has no such padding for it")
        return writer.add(node, op, [writer.read(node.inputs[0])], attrs)

    return write


# --- matrices and batch norm ---


def _fully_connected(writer: Writer, node: Node) -> str:
    x, weights = (writer.graph.tensors[name] for name in node.inputs[:2])
    read = writer.read(x.name)
    if len(x.shape) != 2 or x.shape[1] != weights.shape[1]:
        rows = math.prod(x.shape) // weights.shape[1]
        read = _reshaped(writer, node, read, (rows, weights.shape[1]))
    attrs = {"T": F32, "transpose_a": False, "transpose_b": True}
    product = writer.add(node, "MatMul", [read, writer.read(weights.name)], attrs)
    return _add_bias(writer, node, product)


def _mat_mul(writer: Writer, node: Node) -> str:
    flags = {name: bool(node.attrs.get(name)) for name in ("transpose_a", "transpose_b")}
    return writer.add(node, "MatMul", [writer.read(n) for n in node.inputs], {"T": F32} | flags)


def _batch_norm(writer: Writer, node: Node) -> str:
    """FusedBatchNormV3, whose input has rank 4."""
    shape = writer.graph.tensors[node.inputs[0]].shape
    x, *parameters = (writer.read(name) for name in node.inputs)
    if len(shape) != 4:
        x = _reshaped(writer, node, x, (math.prod(shape[:-1]), 1, 1, shape[-1]))
    epsilon = float(node.attrs.get("epsilon", 1e-3))
    attrs = {"T": F32, "U": F32, "epsilon": epsilon, "is_training": False}
    last = writer.add(node, "FusedBatchNormV3", [x, *parameters], attrs)
    return last if len(shape) == 4 else _reshaped(writer, node, last, shape)


# --- the rest ---


def _plain(op: str, **attrs: object) -> Callable[[Writer, Node], str]:
    """The same op with the same inputs."""
    return lambda writer, node: writer.add(
        node, op, [writer.read(n) for n in node.inputs], {"T": F32} | attrs
    )


def _softmax(writer: Writer, node: Node) -> str:
    last, beta = writer.read(node.inputs[0]), node.attrs.get("beta", 1.0)
    if beta != 1.0:
        last = writer.add(node, "Mul", [last, writer.constant(f"{node.name}/beta", np.float32(beta))])
    return writer.add(node, "Softmax", [last])


def _of_parts(*steps: tuple[str, str | float | None]) -> Callable[[Writer, Node], str]:
    """A function of x as steps (op, second operand): "x", a number, or none."""

    def write(writer: Writer, node: Node) -> str:
        last = x = writer.read(node.inputs[0])
        for index, (op, operand) in enumerate(steps):
            inputs = [last]
            if operand is not None:
                name = f"{node.name}/number_{index}"
                inputs.append(x if operand == "x" else writer.constant(name, np.float32(operand)))
            last = writer.add(node, op, inputs)
        return last

    return write


def _gelu(writer: Writer, node: Node) -> str:
    if node.attrs.get("approximate"):  # x · σ(2u) = ½ x (1 + tanh u), u = √(2/π) (x + 0.044715 x³)
        cubic = [
            ("Mul", "x"),
            ("Mul", 0.044715),
            ("AddV2", 1.0),
            ("Mul", "x"),
            ("Mul", 2 * math.sqrt(2 / math.pi)),
        ]
        return _of_parts(*cubic, ("Sigmoid", None), ("Mul", "x"))(writer, node)
    phi = [("Mul", math.sqrt(0.5)), ("Erf", None), ("AddV2", 1.0), ("Mul", 0.5)]
    return _of_parts(*phi, ("Mul", "x"))(writer, node)


def _batches(op: str, kinds: tuple[str, str]) -> Callable[[Writer, Node], str]:
    """SpaceToBatchND and its inverse: block and paddings or crops are constant lists."""

    def write(writer: Writer, node: Node) -> str:
        lists = [np.asarray(writer.graph.const(name)).astype(np.int32) for name in node.inputs[1:]]
        read = [writer.constant(f"{node.name}/{kind}", v) for kind, v in zip(kinds, lists, strict=True)]
        return writer.add(node, op, [writer.read(node.inputs[0]), *read])

    return write


def _reshape(writer: Writer, node: Node) -> str:
    shape = node.attrs.get("shape") if len(node.inputs) < 2 else writer.graph.const(node.inputs[1])
    return _reshaped(writer, node, writer.read(node.inputs[0]), tuple(np.reshape(shape, -1)))


def _squeeze(writer: Writer, node: Node) -> str:
    attrs = {"T": F32, "squeeze_dims": tuple(node.attrs.get("axes", ()))}
    return writer.add(node, "Squeeze", [writer.read(node.inputs[0])], attrs)


def _with_list(op: str, kind: str, **renamed: str) -> Callable[[Writer, Node], str]:
    """An op whose second input is a constant list called `kind`; the others are flags."""

    def write(writer: Writer, node: Node) -> str:
        values = np.asarray(writer.graph.const(node.inputs[1]))
        listed = writer.constant(f"{node.name}/{kind}", values.astype(np.int32))
        attrs = {"T": F32} | {theirs: bool(node.attrs.get(ours)) for ours, theirs in renamed.items()}
        return writer.add(node, op, [writer.read(node.inputs[0]), listed], attrs)

    return write


def _pad(writer: Writer, node: Node) -> str:
    value = node.attrs.get("value", 0.0)
    if value == 0.0:
        return _with_list("Pad", "paddings")(writer, node)
    paddings = np.asarray(writer.graph.const(node.inputs[1])).astype(np.int32)
    inputs = [writer.read(node.inputs[0]), writer.constant(f"{node.name}/paddings", paddings)]
    inputs.append(writer.constant(f"{node.name}/value", np.float32(value)))
    return writer.add(node, "PadV2", inputs)


def _concatenation(writer: Writer, node: Node) -> str:
    axis = writer.constant(f"{node.name}/axis", np.int32(node.attrs["axis"]))
    attrs = {"T": F32, "N": len(node.inputs)}
    return writer.add(node, "ConcatV2", [*(writer.read(n) for n in node.inputs), axis], attrs)


def _placeholder_with_default(writer: Writer, node: Node) -> str:
    tensor = writer.graph.tensors[node.outputs[0]]
    attrs = {"dtype": tensor.dtype, "shape": tensor}
    return writer.add(node, "PlaceholderWithDefault", [writer.read(node.inputs[0])], attrs)


OPS: dict[str, Callable[[Writer, Node], str]] = {
    "Conv2D": _convolution("Conv2D"),
    "DepthwiseConv2D": _convolution("DepthwiseConv2dNative"),
    "FullyConnected": _fully_connected,
    "MatMul": _mat_mul,
    "BiasAdd": _plain("BiasAdd"),
    "BatchNorm": _batch_norm,
    "AveragePool2D": _pool("AvgPool"),
    "MaxPool2D": _pool("MaxPool"),
    "Add": _plain("AddV2"),
    "Sub": _plain("Sub"),
    "Mul": _plain("Mul"),
    "Div": _plain("RealDiv"),
    "Rsqrt": _plain("Rsqrt"),
    "Relu": _plain("Relu"),
    "Relu6": _plain("Relu6"),
    "Logistic": _plain("Sigmoid"),
    "Tanh": _plain("Tanh"),
    "Erf": _plain("Erf"),
    "Swish": _of_parts(("Sigmoid", None), ("Mul", "x")),
    "HardSwish": _of_parts(("AddV2", 3.0), ("Relu6", None), ("Mul", "x"), ("Mul", 1 / 6)),
    "Gelu": _gelu,
    "SpaceToBatchND": _batches("SpaceToBatchND", ("block_shape", "paddings")),
    "BatchToSpaceND": _batches("BatchToSpaceND", ("block_shape", "crops")),
    "Softmax": _softmax,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": _with_list("Transpose", "perm"),
    "Pad": _pad,
    "MirrorPad": _mirror_pad,
    "ResizeBilinear": _with_list(
        "ResizeBilinear", "size", align_corners="align_corners", half_pixel_centers="half_pixel_centers"
    ),
    "FusedResizeAndPadConv2D": _fused_convolution,
    "Mean": _with_list("Mean", "axes", keep_dims="keep_dims"),
    "Concatenation": _concatenation,
    "Identity": _plain("Identity"),
    "PlaceholderWithDefault": _placeholder_with_default,
    "CheckNumerics": _plain("CheckNumerics", message=""),
    "StopGradient": _plain("StopGradient"),
}
