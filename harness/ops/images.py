"""Ops on the pixels of an image: resizing, mirrored padding, and both in front of a convolution."""

from __future__ import annotations

import numpy as np

from harness.graph import Node, Tensor
from harness.ops import op
from harness.ops.activations import activate
from harness.ops.convolution import Conv2D

MODES = {"REFLECT": "reflect", "SYMMETRIC": "symmetric"}
NO_PADS = ((0, 0), (0, 0))


def _check_size(size) -> tuple[int, int]:
    size = tuple(int(length) for length in np.reshape(size, -1))
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"{list(size)} is no height and width")
    return size


def _check_pads(shape, pads, mode: str) -> list[tuple[int, int]]:
    """REFLECT does not repeat the edge, so it has one pixel less to give than SYMMETRIC."""
    if mode not in MODES:
        raise ValueError(f"mode {mode} is none of {', '.join(MODES)}")
    spare = 1 if mode == "REFLECT" else 0
    pads = [(int(before), int(after)) for before, after in np.reshape(pads, (-1, 2))]
    if len(pads) != len(shape):
        raise ValueError(f"padding {pads} does not suit rank {len(shape)}")
    if any(min(pair) < 0 or max(pair) > max(d - spare, 0) for d, pair in zip(shape, pads, strict=True)):
        raise ValueError(f"padding {pads} mirrors more than there is of {tuple(shape)}")
    return pads


def _interpolation(length: int, target: int, align_corners: bool, half_pixel_centers: bool):
    """For each target pixel the two source pixels around it, and how far it is from first to second."""
    pixel = np.arange(target, dtype=np.float32)
    if align_corners and target > 1:
        scale = np.float32(length - 1) / np.float32(target - 1)
    else:
        scale = np.float32(length) / np.float32(target)
    half = np.float32(0.5 if half_pixel_centers else 0)
    position = (pixel + half) * scale - half
    low, high = np.floor(position), np.ceil(position)
    indices = (np.clip(bound, 0, length - 1).astype(np.int64) for bound in (low, high))
    return *indices, position - low


def resize_bilinear(x: np.ndarray, size, align_corners: bool, half_pixel_centers: bool = False) -> np.ndarray:
    """x (N, H, W, C) float32 at another (height, width).

    Along each axis y = a + (b − a) · f, where a and b lie around the source position p = i · in / out and
    f = p − ⌊p⌋; align_corners: p = i · (in − 1) / (out − 1); half_pixel_centers: p = (i + ½) · in / out − ½
    (tensorflow/core/kernels/image/resize_bilinear_op.cc).
    """
    height, width = _check_size(size)
    low, high, part = _interpolation(x.shape[2], width, align_corners, half_pixel_centers)
    a, b = x[:, :, low], x[:, :, high]
    x = a + (b - a) * part[:, None]
    low, high, part = _interpolation(x.shape[1], height, align_corners, half_pixel_centers)
    a, b = x[:, low], x[:, high]
    return a + (b - a) * part[:, None, None]


def nearest_pixels(length: int, target: int, align_corners: bool, half_pixel_centers: bool) -> np.ndarray:
    """For each target pixel the source pixel that it shows: ⌊p⌋, or p rounded half up with align_corners.

    p is resize_bilinear's, but (i + ½) · in / out with half_pixel_centers; computed in float32
    (tensorflow/core/kernels/image/resize_nearest_neighbor_op.cc).
    """
    pixel = np.arange(target, dtype=np.float32)
    if align_corners and target > 1:
        scale = np.float32(length - 1) / np.float32(target - 1)
    else:
        scale = np.float32(length) / np.float32(target)
    position = (pixel + np.float32(0.5 if half_pixel_centers else 0)) * scale
    chosen = np.floor(position + np.float32(0.5)) if align_corners else np.floor(position)
    return np.minimum(chosen, length - 1).astype(np.int64)


def _resized(node, inputs):
    x, size = inputs
    if len(x.shape) != 4 or min(x.shape) < 1:
        raise ValueError(f"needs images of rank 4, not {x.shape}")
    if not size.is_const:
        raise ValueError(f"the size '{size.name}' must be a constant")
    if node.attrs.get("align_corners") and node.attrs.get("half_pixel_centers"):
        raise ValueError("align_corners and half_pixel_centers exclude each other")
    return [((x.shape[0], *_check_size(size.data), x.shape[3]), x.dtype)]


@op("ResizeBilinear")
class ResizeBilinear:
    defaults = {"align_corners": False, "half_pixel_centers": False}
    infer = staticmethod(_resized)

    @staticmethod
    def reference(node, arrays):
        attrs = ResizeBilinear.defaults | node.attrs
        return [resize_bilinear(*arrays, attrs["align_corners"], attrs["half_pixel_centers"])]


@op("ResizeNearestNeighbor")
class ResizeNearestNeighbor:
    defaults = ResizeBilinear.defaults
    infer = staticmethod(_resized)

    @staticmethod
    def reference(node, arrays):
        x, attrs = arrays[0], ResizeBilinear.defaults | node.attrs
        flags = attrs["align_corners"], attrs["half_pixel_centers"]
        height, width = _check_size(arrays[1])
        rows = nearest_pixels(x.shape[1], height, *flags)
        return [x[:, rows][:, :, nearest_pixels(x.shape[2], width, *flags)]]


@op("MirrorPad")
class MirrorPad:
    defaults = {"mode": "REFLECT"}

    @staticmethod
    def infer(node, inputs):
        x, paddings = inputs
        if not paddings.is_const:
            raise ValueError(f"the padding '{paddings.name}' must be a constant")
        pads = _check_pads(x.shape, paddings.data, node.attrs.get("mode", "REFLECT"))
        return [(tuple(d + sum(pair) for d, pair in zip(x.shape, pads, strict=True)), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        return [np.pad(*arrays, mode=MODES[node.attrs.get("mode", "REFLECT")])]


@op("FusedResizeAndPadConv2D")
class FusedResizeAndPadConv2D:
    """ResizeBilinear (where there is a size), MirrorPad of height and width, and a VALID Conv2D."""

    defaults = {
        "size": None,
        "align_corners": False,
        "pads": NO_PADS,
        "mode": "REFLECT",
        "stride": (1, 1),
        "activation": None,
    }

    @staticmethod
    def _convolution(attrs) -> Node:
        return Node("Conv2D", "convolution", [], [], {"stride": attrs["stride"], "padding": "VALID"})

    @staticmethod
    def padded_shape(node, shape) -> tuple[int, ...]:
        """Shape of what the convolution sees of images of this shape."""
        attrs = FusedResizeAndPadConv2D.defaults | node.attrs
        batch, *size, channels = shape
        if attrs["size"] is not None:
            size = _check_size(attrs["size"])
        pads = _check_pads(size, attrs["pads"], attrs["mode"])
        return batch, *(length + sum(pair) for length, pair in zip(size, pads, strict=True)), channels

    @staticmethod
    def infer(node, inputs):
        x, *others = inputs
        if len(x.shape) != 4 or min(x.shape) < 1:
            raise ValueError(f"needs images of rank 4, not {x.shape}")
        attrs = FusedResizeAndPadConv2D.defaults | node.attrs
        seen = Tensor(x.name, FusedResizeAndPadConv2D.padded_shape(node, x.shape), x.dtype)
        return Conv2D.infer(FusedResizeAndPadConv2D._convolution(attrs), [seen, *others])

    @staticmethod
    def reference(node, arrays):
        x, *others = arrays
        attrs = FusedResizeAndPadConv2D.defaults | node.attrs
        if attrs["size"] is not None:
            x = resize_bilinear(x, attrs["size"], attrs["align_corners"])
        x = np.pad(x, ((0, 0), *attrs["pads"], (0, 0)), mode=MODES[attrs["mode"]])
        convolution = FusedResizeAndPadConv2D._convolution(attrs)
        return [activate(node, Conv2D.reference(convolution, [x, *others])[0])]

    macs = Conv2D.macs
