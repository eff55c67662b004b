"""Shapes, padding, concatenation, and pixels moved or resized."""

from __future__ import annotations

import tflite

from harness.importers.tflite_operator import Operator, Translation, Translator, plain


def reshape(operator: Operator) -> Translation:
    """The shape is the second input, or else in the options."""
    inputs = operator.args(1, 2)
    options = operator.options("ReshapeOptions")
    if len(inputs) == 2:
        return "Reshape", inputs, {}
    if options is None or options.NewShapeIsNone():
        raise operator.error("does not say the shape")
    return "Reshape", inputs, {"shape": tuple(options.NewShapeAsNumpy().tolist())}


def concatenation(operator: Operator) -> Translation:
    options = operator.required("ConcatenationOptions")
    attrs = {"axis": options.Axis(), "activation": operator.activation(options)}
    return "Concatenation", operator.args(max(1, len(operator.inputs))), attrs


def mirror_pad(operator: Operator) -> Translation:
    mode = operator.required("MirrorPadOptions").Mode()
    modes = {tflite.MirrorPadMode.REFLECT: "REFLECT", tflite.MirrorPadMode.SYMMETRIC: "SYMMETRIC"}
    if mode not in modes:
        raise operator.error(f"has mode {mode}, which is not known")
    return "MirrorPad", operator.args(2), {"mode": modes[mode]}


def pad_with_value(operator: Operator) -> Translation:
    """The value has the output's quantization, whatever its own says (tensorflow/lite/kernels/pad.cc)."""
    x, paddings, value = operator.args(3)
    values = operator.constant(value, "the value")
    out = operator.graph.tensors[operator.outputs[0]]
    if values.size != 1 or values.dtype != out.dtype:
        raise operator.error(f"pads with {values.dtype}{values.shape}, expected one {out.dtype}")
    real = values if out.quant is None else out.quant.dequantize(values)
    return "Pad", [x, paddings], {"value": real.reshape(()).item()}


def resize(op: str) -> Translator:
    def translate(operator: Operator) -> Translation:
        options = operator.required(f"{op}Options")
        flags = {"align_corners": options.AlignCorners(), "half_pixel_centers": options.HalfPixelCenters()}
        return op, operator.args(2), flags

    return translate


def blocks(op: str) -> Translator:
    def translate(operator: Operator) -> Translation:
        return op, operator.args(1), {"block": operator.required(f"{op}Options").BlockSize()}

    return translate


def expand_dims(operator: Operator) -> Translation:
    x, axis = operator.args(2)
    shape = list(operator.shape(x))
    (number,) = operator.integers(axis, "the axis") or [0]
    shape.insert(operator.axis(number, len(shape) + 1), 1)
    return "Reshape", [x], {"shape": tuple(shape)}


def squeeze(operator: Operator) -> Translation:
    (x,), options = operator.args(1), operator.options("SqueezeOptions")
    shape = operator.shape(x)
    named = [] if options is None or options.SqueezeDimsIsNone() else options.SqueezeDimsAsNumpy().tolist()
    axes = [operator.axis(a, len(shape)) for a in named] or [i for i, d in enumerate(shape) if d == 1]
    if any(shape[a] != 1 for a in axes):
        raise operator.error(f"squeezes axes {axes} of {shape}, which are not all of length 1")
    return "Reshape", [x], {"shape": tuple(d for i, d in enumerate(shape) if i not in axes)}


OPERATORS = {
    "RESHAPE": reshape,
    "TRANSPOSE": plain("Transpose", 2),
    "SPACE_TO_BATCH_ND": plain("SpaceToBatchND", 3),
    "BATCH_TO_SPACE_ND": plain("BatchToSpaceND", 3),
    "PAD": plain("Pad", 2),
    "MIRROR_PAD": mirror_pad,
    "PADV2": pad_with_value,
    "RESIZE_BILINEAR": resize("ResizeBilinear"),
    "RESIZE_NEAREST_NEIGHBOR": resize("ResizeNearestNeighbor"),
    "DEPTH_TO_SPACE": blocks("DepthToSpace"),
    "SPACE_TO_DEPTH": blocks("SpaceToDepth"),
    "EXPAND_DIMS": expand_dims,
    "SQUEEZE": squeeze,
    "CONCATENATION": concatenation,
}
