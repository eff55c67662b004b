"""Ops that move values and leave them as they are, and resizing."""

from __future__ import annotations

import tflite

from harness.importers.tflite_operator import Operator, Translation, plain


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


def resize_bilinear(operator: Operator) -> Translation:
    options = operator.required("ResizeBilinearOptions")
    flags = {"align_corners": options.AlignCorners(), "half_pixel_centers": options.HalfPixelCenters()}
    return "ResizeBilinear", operator.args(2), flags


OPERATORS = {
    "RESHAPE": reshape,
    "TRANSPOSE": plain("Transpose", 2),
    "SPACE_TO_BATCH_ND": plain("SpaceToBatchND", 3),
    "BATCH_TO_SPACE_ND": plain("BatchToSpaceND", 3),
    "PAD": plain("Pad", 2),
    "MIRROR_PAD": mirror_pad,
    "RESIZE_BILINEAR": resize_bilinear,
    "CONCATENATION": concatenation,
}
