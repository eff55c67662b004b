"""How each TensorFlow op reads in the IR: a table of translators, one line an op.

A translator takes a `Source`, the view of one NodeDef, and returns (IR op, input names, attributes). The
meaning of inputs and attributes is TensorFlow's op definition (tensorflow/core/ops/*.cc).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.errors import FormatError
from harness.graph import Graph, Node, Quantization, Tensor

Translation = tuple[str, list[str], dict]


@dataclass(frozen=True)
class Source:
    """One NodeDef with its data inputs as tensor names, and the graph it goes into.

    behind_identity: tensor name → the name before any Identity nodes.
    """

    definition: object
    inputs: list[str]
    graph: Graph
    behind_identity: Callable[[str], str]

    def error(self, problem: str) -> FormatError:
        return FormatError(f"node '{self.definition.name}' ({self.definition.op}) {problem}")

    def args(self, count: int) -> list[str]:
        if len(self.inputs) != count:
            raise self.error(f"has {len(self.inputs)} inputs, expected {count}")
        return self.inputs

    def attr(self, name: str, field: str, default):
        """Field (`i`, `f`, `b`, `s`) of an attribute."""
        return getattr(self.definition.attr[name], field) if name in self.definition.attr else default

    def ints(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        return tuple(self.definition.attr[name].list.i) if name in self.definition.attr else default

    def constant(self, reference: str, what: str) -> np.ndarray:
        """The constant behind an input, which the op needs to know when it is imported."""
        tensor = self.graph.tensors.get(self.behind_identity(reference))
        if tensor is None or not tensor.is_const:
            raise self.error(f"has a {what} '{reference}' that is not a constant")
        return tensor.data

    def filter_shape(self, reference: str) -> tuple[int, ...]:
        """Shape of constant weights, which may be int8 behind a Dequantize."""
        name = self.behind_identity(reference)
        sources = [n.inputs[0] for n in self.graph.nodes if n.op == "Dequantize" and n.outputs == [name]]
        return self.constant(*sources or [name], "filter").shape

    def insert(self, op: str, suffix: str, inputs: list[str], attrs: dict) -> str:
        """Adds a node in front of this one and returns the name of its output."""
        name = f"{self.definition.name}:{suffix}"
        self.graph.nodes.append(Node(op, name, inputs, [name], attrs))
        self.graph.tensors[name] = Tensor(name, None, np.dtype(np.float32))
        return name

    def add_const(self, suffix: str, values: np.ndarray) -> str:
        name = f"{self.definition.name}:{suffix}"
        self.graph.tensors[name] = Tensor(name, values.shape, values.dtype, values)
        return name

    def spatial(self, name: str, default: tuple[int, ...] | None = None) -> tuple[int, int]:
        """(height, width) of an NHWC attribute such as strides, whose batch and channel entries must be 1."""
        values = self.ints(name, default or ())
        if len(values) != 4 or values[0] != 1 or values[3] != 1:
            raise self.error(f"has {name} {list(values)}, expected [1, height, width, 1]")
        return values[1], values[2]

    def padding(self):
        """ "SAME", "VALID" or ((top, bottom), (left, right))."""
        padding = self.attr("padding", "s", b"").decode("ascii", "replace")
        if padding in ("SAME", "VALID"):
            return padding
        pads = self.ints("explicit_paddings")
        if padding != "EXPLICIT" or len(pads) != 8 or any(pads[:2] + pads[6:]) or min(pads) < 0:
            raise self.error(f"has padding '{padding}' {list(pads)}, which is not supported")
        return (pads[2], pads[3]), (pads[4], pads[5])

    def check_layout(self) -> None:
        layout = self.attr("data_format", "s", b"NHWC").decode("ascii", "replace")
        if layout != "NHWC":
            raise self.error(f"is in {layout} layout; only NHWC is supported: freeze the graph for a CPU")


def plain(op: str, count: int) -> Callable[[Source], Translation]:
    """The same op with `count` inputs and no attributes."""
    return lambda source: (op, source.args(count), {})


def shaped(op: str, count: int = 1, **attrs: tuple[str, str, object]) -> Callable[[Source], Translation]:
    """An op whose last `count` inputs list sizes or axes, which shape inference must find as constants.

    attrs: IR attribute → (TensorFlow's attribute, field, default).
    """

    def translate(source: Source) -> Translation:
        x, *lists = source.args(1 + count)
        values = {name: source.attr(*where) for name, where in attrs.items()}
        return op, [x, *map(source.behind_identity, lists)], values

    return translate


def _window(source: Source) -> dict:
    source.check_layout()
    return {"stride": source.spatial("strides"), "padding": source.padding()}


def convolution(source: Source) -> Translation:
    x, weights = source.args(2)
    attrs = _window(source) | {"dilation": source.spatial("dilations", (1, 1, 1, 1))}
    order = source.add_const("OHWI_perm", np.array([3, 0, 1, 2], np.int32))  # from HWIO
    return "Conv2D", [x, source.insert("Transpose", "OHWI", [weights, order], {})], attrs


def fused_convolution(*lists: str) -> Callable[[Source], Translation]:
    """FusedPadConv2D or FusedResizeAndPadConv2D, whose inputs `lists` lie between images and filter."""

    def translate(source: Source) -> Translation:
        x, *constants, weights = source.args(2 + len(lists))
        known = {what: source.constant(name, what) for what, name in zip(lists, constants, strict=True)}
        paddings = known["paddings"]
        if source.padding() != "VALID":
            raise source.error("pads its convolution once more, which is not supported")
        if paddings.shape != (4, 2) or paddings.dtype.kind != "i" or paddings[[0, 3]].any():
            raise source.error(f"has paddings {paddings.tolist()}, expected height and width only")
        attrs = {
            "align_corners": source.attr("resize_align_corners", "b", False),
            "pads": tuple((int(before), int(after)) for before, after in paddings[1:3]),
            "mode": source.attr("mode", "s", b"").decode("ascii", "replace"),
            "stride": source.spatial("strides"),
        }
        if "size" in known:
            attrs["size"] = tuple(int(length) for length in known["size"].reshape(-1))
        order = source.add_const("OHWI_perm", np.array([3, 0, 1, 2], np.int32))
        weights = source.insert("Transpose", "OHWI", [weights, order], {})
        return "FusedResizeAndPadConv2D", [x, weights], attrs

    return translate


def mirror_pad(source: Source) -> Translation:
    op, inputs, _ = shaped("MirrorPad")(source)
    return op, inputs, {"mode": source.attr("mode", "s", b"").decode("ascii", "replace")}


def depthwise(source: Source) -> Translation:
    x, weights = source.args(2)
    shape = source.filter_shape(weights)
    if len(shape) != 4:
        raise source.error(f"has a filter of shape {shape}, expected rank 4")
    height, width, channels, multiplier = shape
    attrs = _window(source) | {
        "dilation": source.spatial("dilations", (1, 1, 1, 1)),
        "multiplier": multiplier,
    }
    flat = {"shape": (1, height, width, channels * multiplier)}  # from HWCM
    return "DepthwiseConv2D", [x, source.insert("Reshape", "1HWC", [weights], flat)], attrs


def pool(op: str) -> Callable[[Source], Translation]:
    return lambda source: (op, source.args(1), _window(source) | {"filter": source.spatial("ksize")})


def bias_add(source: Source) -> Translation:
    source.check_layout()
    return "BiasAdd", source.args(2), {}


def mat_mul(source: Source) -> Translation:
    flags = {name: source.attr(name, "b", False) for name in ("transpose_a", "transpose_b")}
    return "MatMul", source.args(2), flags


def fused_batch_norm(source: Source) -> Translation:
    source.check_layout()
    if source.attr("is_training", "b", True):
        raise source.error("is in training mode; freeze the graph for inference")
    return "BatchNorm", source.args(5), {"epsilon": source.attr("epsilon", "f", 1e-4)}


def global_batch_norm(source: Source) -> Translation:
    x, mean, variance, beta, gamma = source.args(5)
    if not source.attr("scale_after_normalization", "b", False):
        raise source.error("does not scale after normalization, which is not supported")
    return (
        "BatchNorm",
        [x, gamma, beta, mean, variance],
        {"epsilon": source.attr("variance_epsilon", "f", 0.0)},
    )


def dequantize(source: Source) -> Translation:
    """Mode SCALED of int8 in [-127, 127]: real = q · max / 127, along an axis or for all."""
    x, low, high = (source.behind_identity(reference) for reference in source.args(3))
    mode = source.attr("mode", "s", b"MIN_COMBINED").decode("ascii", "replace")
    values, limit = source.constant(x, "input"), source.constant(high, "maximum")
    if mode != "SCALED" or not source.attr("narrow_range", "b", False) or values.dtype != np.int8:
        raise source.error(
            f"has mode {mode} on {values.dtype}; only SCALED with narrow_range on int8 is read"
        )
    axis = source.attr("axis", "i", -1)
    if axis >= values.ndim or limit.shape != ((values.shape[axis],) if axis >= 0 else ()):
        raise source.error(f"has a range of shape {limit.shape} along axis {axis} of {values.shape}")
    if not np.array_equal(source.constant(low, "minimum"), -limit) or not np.all(limit > 0):
        raise source.error("has a range that is not symmetric around 0")
    quant = Quantization(limit / np.float32(127), np.zeros(limit.size), axis if axis >= 0 else None)
    source.graph.tensors[x].quant = quant
    return "Dequantize", [x], {}


def squeeze(source: Source) -> Translation:
    return "Squeeze", source.args(1), {"axes": source.ints("squeeze_dims") or source.ints("axis")}


def concat(source: Source) -> Translation:
    if len(source.inputs) < 2:
        raise source.error(f"has {len(source.inputs)} inputs, expected values and an axis")
    *parts, axis = source.inputs
    axis_value = source.constant(axis, "axis")
    if axis_value.size != 1 or axis_value.dtype.kind != "i":
        raise source.error(f"has an axis of {axis_value.dtype}{axis_value.shape}, expected one integer")
    return "Concatenation", parts, {"axis": int(axis_value.reshape(()))}


TF_OPS: dict[str, Callable[[Source], Translation]] = {
    "Conv2D": convolution,
    "DepthwiseConv2dNative": depthwise,
    "BiasAdd": bias_add,
    "MatMul": mat_mul,
    "FusedBatchNorm": fused_batch_norm,
    "FusedBatchNormV2": fused_batch_norm,
    "FusedBatchNormV3": fused_batch_norm,
    "BatchNormWithGlobalNormalization": global_batch_norm,
    "AvgPool": pool("AveragePool2D"),
    "MaxPool": pool("MaxPool2D"),
    "Add": plain("Add", 2),
    "AddV2": plain("Add", 2),
    "Sub": plain("Sub", 2),
    "Mul": plain("Mul", 2),
    "RealDiv": plain("Div", 2),
    "Rsqrt": plain("Rsqrt", 1),
    "Relu": plain("Relu", 1),
    "Relu6": plain("Relu6", 1),
    "Sigmoid": plain("Logistic", 1),
    "Tanh": plain("Tanh", 1),
    "Erf": plain("Erf", 1),
    "Softmax": plain("Softmax", 1),
    "Reshape": shaped("Reshape"),
    "Squeeze": squeeze,
    "Dequantize": dequantize,
    "Transpose": shaped("Transpose"),
    "Pad": shaped("Pad"),
    "MirrorPad": mirror_pad,
    "ResizeBilinear": shaped(
        "ResizeBilinear",
        align_corners=("align_corners", "b", False),
        half_pixel_centers=("half_pixel_centers", "b", False),
    ),
    "FusedPadConv2D": fused_convolution("paddings"),
    "FusedResizeAndPadConv2D": fused_convolution("size", "paddings"),
    "Mean": shaped("Mean", keep_dims=("keep_dims", "b", False)),
    "ConcatV2": concat,
    "SpaceToBatchND": shaped("SpaceToBatchND", 2),
    "BatchToSpaceND": shaped("BatchToSpaceND", 2),
    "Identity": plain("Identity", 1),
    "PlaceholderWithDefault": plain("PlaceholderWithDefault", 1),
    "CheckNumerics": plain("CheckNumerics", 1),
    "StopGradient": plain("StopGradient", 1),
}
