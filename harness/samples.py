"""Reads one sample file: an image, a NumPy array or a raw tensor.

What comes back are the *stored* values, small integers where the file has them. `Storage` says what they
mean:

    real = (stored - offset) * scale,  per channel (innermost dimension), in float32

which is what the runner computes from a dataset file (`runtime/include/format.def`), so host and device see
the same float32 input to the last bit.
"""

from __future__ import annotations

import struct
import tokenize
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from harness.errors import FormatError, UsageError

if TYPE_CHECKING:
    from models import Preprocess

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm")
IMAGE_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "PPM")  # never EPS, which runs Ghostscript
SUFFIXES = (*IMAGE_SUFFIXES, ".npy", ".bin")
STORED_DTYPES = ("uint8", "int8", "float32")

# What Pillow and NumPy raise on damaged files besides OSError and ValueError.
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, AttributeError,
            OverflowError, MemoryError, RuntimeError, AssertionError, struct.error, zlib.error,
            tokenize.TokenError, Image.DecompressionBombError, Image.DecompressionBombWarning)  # fmt: skip


@dataclass(frozen=True)
class Storage:
    """dtype of stored values, and float32 `scale` and `offset`, one entry a channel or one for all."""

    dtype: np.dtype
    scale: np.ndarray
    offset: np.ndarray

    def reals(self, stored: np.ndarray) -> np.ndarray:
        """float32 values of stored ones; every step in float32, as on the device."""
        return (stored.astype(np.float32) - self.offset) * self.scale


def read_sample(path: Path, preprocess: Preprocess, shape: tuple[int, ...]) -> np.ndarray:
    """The stored values of one file: `shape` (without a batch dimension), uint8, int8 or float32.

    Raises FormatError naming the file where it is damaged, hostile or does not fit; UsageError where it is
    missing or of an unknown kind.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{path}: not a sample file; known suffixes: {' '.join(SUFFIXES)}")
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    if suffix == ".npy":
        return _read_array(path, shape)
    if suffix == ".bin":
        return _read_raw(path, preprocess, shape)
    return _read_image(path, preprocess, shape)


def storage_of(path: Path, dtype: np.dtype, preprocess: Preprocess) -> Storage:
    """What stored values of this file mean. A float array (.npy) holds real values already."""
    if path.suffix.lower() == ".npy" and dtype == np.float32:
        return Storage(np.dtype(np.float32), np.ones(1, np.float32), np.zeros(1, np.float32))
    std = np.asarray(preprocess.std, np.float64)
    scale, offset = np.broadcast_arrays(np.float32(1 / std), np.float32(preprocess.mean))
    return Storage(np.dtype(dtype), scale.copy(), offset.copy())


def _read_image(path: Path, preprocess: Preprocess, shape: tuple[int, ...]) -> np.ndarray:
    """Central crop, PIL bilinear resize, uint8 (height, width, channels) in RGB order."""
    if len(shape) != 3:
        raise FormatError(f"{path}: an image, but the model's input is {_text(shape)}")
    height, width = preprocess.resize or shape[:2]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=IMAGE_FORMATS) as image:
                image.load()
                if image.mode.startswith(("I", "F")):
                    raise FormatError(f"{path}: more than 8 bits per channel is not supported")
                image = image.convert("L" if preprocess.channels == 1 else "RGB")
                image = image.crop(central_box(image.size, preprocess.crop))
                pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    except _DAMAGED as error:
        raise FormatError(f"{path}: not a readable image: {_one_line(error)}") from error
    pixels = pixels.reshape(height, width, preprocess.channels)
    if pixels.shape != shape:
        raise FormatError(
            f"{path}: preprocessing gives {_text(pixels.shape)}, the model's input is {_text(shape)}"
        )
    return pixels


def central_box(size: tuple[int, int], fraction: float) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the central `fraction` of a (width, height) image, rounded."""
    margin = (1 - fraction) / 2
    left, top = (round(length * margin) for length in size)
    right, bottom = (max(round(length * (1 - margin)), 1) for length in size)
    return min(left, right - 1), min(top, bottom - 1), right, bottom


def _read_array(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.array(np.lib.format.open_memmap(path, mode="r"))
    except _DAMAGED as error:
        raise FormatError(f"{path}: not a readable .npy array: {_one_line(error)}") from error
    if array.shape not in (shape, (1, *shape)):
        raise FormatError(f"{path}: holds {_text(array.shape)}, the model's input is {_text(shape)}")
    if array.dtype not in (np.uint8, np.int8, np.float16, np.float32, np.float64):
        raise FormatError(f"{path}: dtype {array.dtype} is not one of uint8, int8, float16, float32, float64")
    if array.dtype.kind == "f":
        array = array.astype(np.float32)
    return _finite(path, array.reshape(shape))


def _read_raw(path: Path, preprocess: Preprocess, shape: tuple[int, ...]) -> np.ndarray:
    if preprocess.dtype not in STORED_DTYPES:
        raise UsageError(
            f"{path}: preprocessing says dtype '{preprocess.dtype}', not {', '.join(STORED_DTYPES)}"
        )
    dtype = np.dtype(preprocess.dtype).newbyteorder("<")
    expected, size = int(np.prod(shape)) * dtype.itemsize, path.stat().st_size
    if size != expected:
        raise FormatError(f"{path}: {size} bytes, but {dtype.name} {_text(shape)} takes {expected}")
    try:
        return _finite(path, np.fromfile(path, dtype).reshape(shape))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def _finite(path: Path, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise FormatError(f"{path}: holds a value that is not finite")
    return array


def _text(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a scalar"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
