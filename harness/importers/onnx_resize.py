"""ONNX's Resize: which of the IR's two resizes, if any, reads the same pixels.

ONNX has many ways to say where a pixel of the result lies in the image. Here the positions are computed by
ONNX's formulas and compared with those of the IR's resizes; an equal one is taken.
"""

from __future__ import annotations

import numpy as np

from harness.importers.onnx_source import Source
from harness.importers.onnx_values import Value, channels_last
from harness.ops.images import nearest_pixels

LAST = channels_last(4)
MAX_PIXELS = 2**16  # along one axis
NEAR = 1e-5  # of a pixel
FLAGS = ({}, {"half_pixel_centers": True}, {"align_corners": True})


def resize(source: Source) -> Value:
    x = source.image(source.inputs[0])
    mode = source.attr("mode", "nearest")
    if mode not in ("nearest", "linear") or source.flag("antialias") or source.flag("exclude_outside"):
        raise source.error(f"resizes by '{mode}' or with options that are not supported")
    size, scales = _target(source, x)
    if size[:2] != list(x.shape[:2]) or max(size) > MAX_PIXELS or min(size) < 1:
        raise source.error(f"resizes {x.shape} to {tuple(size)}, which is not supported")
    if tuple(size) == x.shape:
        return x
    op = "ResizeNearestNeighbor" if mode == "nearest" else "ResizeBilinear"
    for flags in FLAGS:
        if all(_same(source, mode, x.shape[a], size[a], scales[a], flags) for a in (2, 3)):
            lists = [source.read(x, LAST), source.perm(size[2:])]
            return source.node(op, lists, LAST, **flags)
    how = f"{source.attr('coordinate_transformation_mode', 'half_pixel')}, {source.attr('nearest_mode', '')}"
    raise source.error(f"resizes {x.shape} to {tuple(size)} by '{mode}' ({how}), which is not supported")


def _target(source: Source, x: Value) -> tuple[list[int], list[float]]:
    """Size and factor of every axis."""
    factors, sizes = source.known(2, "scales"), source.known(3, "sizes")
    axes = [source.axis(int(a), x.rank) for a in source.attr("axes", range(x.rank))]
    size, scales = list(x.shape), [1.0] * x.rank
    if sizes is not None and np.size(sizes):
        if source.attr("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise source.error("keeps the aspect ratio, which is not supported")
        for axis, length in zip(axes, np.reshape(sizes, -1), strict=True):
            size[axis], scales[axis] = int(length), int(length) / x.shape[axis]
    else:
        for axis, factor in zip(axes, np.reshape(factors, -1), strict=True):
            size[axis], scales[axis] = int(np.floor(x.shape[axis] * float(factor))), float(factor)
    return size, scales


def _same(source: Source, mode: str, length: int, target: int, scale: float, flags: dict) -> bool:
    """Whether the IR's resize with these flags takes the pixels of ONNX's along one axis."""
    ours = {"align_corners": False, "half_pixel_centers": False} | flags
    wanted = _positions(source, length, target, scale)
    if mode == "nearest":
        return np.array_equal(_nearest(source, wanted, length), nearest_pixels(length, target, **ours))
    pixel = np.arange(target)
    if ours["align_corners"] and target > 1:
        have = pixel * ((length - 1) / (target - 1))
    else:
        half = 0.5 if ours["half_pixel_centers"] else 0.0
        have = (pixel + half) * length / target - half
    return bool(np.all(np.abs(np.clip(wanted, 0, length - 1) - np.clip(have, 0, length - 1)) < NEAR))


def _positions(source: Source, length: int, target: int, scale: float) -> np.ndarray:
    """Where each pixel of the result lies in the image (ONNX, Resize, coordinate_transformation_mode)."""
    pixel = np.arange(target)
    match source.attr("coordinate_transformation_mode", "half_pixel"):
        case "half_pixel":
            return (pixel + 0.5) / scale - 0.5
        case "half_pixel_symmetric":
            shift = length / 2 * (1 - target / (length * scale))
            return shift + (pixel + 0.5) / scale - 0.5
        case "pytorch_half_pixel":
            return (pixel + 0.5) / scale - 0.5 if target > 1 else pixel * 0.0
        case "align_corners":
            return pixel * ((length - 1) / max(target - 1, 1))
        case "asymmetric":
            return pixel / scale
        case other:
            raise source.error(f"places pixels by '{other}', which is not supported")


def _nearest(source: Source, positions: np.ndarray, length: int) -> np.ndarray:
    match source.attr("nearest_mode", "round_prefer_floor"):
        case "round_prefer_floor":
            chosen = np.ceil(positions - 0.5)
        case "round_prefer_ceil":
            chosen = np.floor(positions + 0.5)
        case "floor":
            chosen = np.floor(positions)
        case "ceil":
            chosen = np.ceil(positions)
        case other:
            raise source.error(f"rounds by '{other}', which is not known")
    return np.clip(chosen, 0, length - 1).astype(np.int64)
