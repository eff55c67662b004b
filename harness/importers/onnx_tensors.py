"""TensorProto → NumPy array, wherever the file keeps its bytes; and ONNX's types as the graph's."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx

from harness.errors import FormatError
from harness.ops import Shape

DTYPES = {
    onnx.TensorProto.FLOAT: np.dtype(np.float32),
    onnx.TensorProto.DOUBLE: np.dtype(np.float64),
    onnx.TensorProto.FLOAT16: np.dtype(np.float16),
    onnx.TensorProto.INT8: np.dtype(np.int8),
    onnx.TensorProto.UINT8: np.dtype(np.uint8),
    onnx.TensorProto.INT32: np.dtype(np.int32),
    onnx.TensorProto.INT64: np.dtype(np.int64),
    onnx.TensorProto.BOOL: np.dtype(np.bool_),
}
FIELDS = {"f": "float_data", "i": "int32_data", "u": "int32_data", "b": "int32_data"}
FIELDS_64 = {"f": "double_data", "i": "int64_data"}
MAX_NAME = 1024


def type_name(number: int) -> str:
    """ONNX's name of an element type."""
    known = {value: name for name, value in onnx.TensorProto.DataType.items()}
    return known.get(number, f"number {number}")


def dtype_of(number: int, what: str) -> np.dtype:
    """The NumPy type of an element type; FormatError naming `what` where it is not supported."""
    if number not in DTYPES:
        raise FormatError(f"{what} is of type {type_name(number)}, which is not supported")
    return DTYPES[number]


def array(tensor, what: str, folder: Path) -> np.ndarray:
    """The values of a TensorProto. folder: the model's, which external data must not leave.

    Raises FormatError naming `what` where type, shape and bytes do not go together.
    """
    dtype, shape = dtype_of(tensor.data_type, what), tuple(tensor.dims)
    if any(d < 0 for d in shape):
        raise FormatError(f"{what} has the impossible shape {shape}")
    count = math.prod(shape)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        content = _external(tensor, what, folder, count * dtype.itemsize)
    elif tensor.HasField("raw_data"):
        content = tensor.raw_data
    else:
        return _listed(tensor, what, dtype, shape)
    if len(content) != count * dtype.itemsize:
        raise FormatError(
            f"{what} of shape {shape} has {len(content)} bytes, not {count * dtype.itemsize}: is the file "
            "cut short?"
        )
    return np.frombuffer(content, dtype.newbyteorder("<")).reshape(shape).astype(dtype, copy=False)


def _listed(tensor, what: str, dtype: np.dtype, shape: Shape) -> np.ndarray:
    """Values that are a list of numbers in the message."""
    names = FIELDS_64 if dtype.itemsize == 8 else FIELDS
    field = "int32_data" if dtype == np.float16 else names[dtype.kind]
    numbers = getattr(tensor, field)
    if len(numbers) != math.prod(shape):
        raise FormatError(f"{what} of shape {shape} has {len(numbers)} values: is the file cut short?")
    if dtype == np.float16:  # kept as bits
        return np.array(numbers, np.int32).astype(np.uint16).view(np.float16).reshape(shape)
    return np.array(numbers, np.int64 if field.startswith("int") else dtype).astype(dtype).reshape(shape)


def _external(tensor, what: str, folder: Path, expected: int) -> bytes:
    """Bytes beside the model, in a file of its own folder that no link leads out of."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    try:
        path = _beside(entries.get("location", ""), what, folder)
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", expected))
        size = path.stat().st_size
        if offset < 0 or length != expected or offset + length > size:
            raise FormatError(
                f"{what} claims bytes {offset} to {offset + length} of '{path.name}', which has {size}; its "
                f"shape takes {expected}"
            )
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(length)
    except ValueError:
        raise FormatError(f"{what} has an offset or length that is no number") from None
    except OSError as error:
        raise FormatError(f"{what} cannot be read from beside the model: {error.strerror}") from error


def _beside(location: str | bytes, what: str, folder: Path) -> Path:
    if not isinstance(location, str) or not 0 < len(location) <= MAX_NAME or not location.isprintable():
        raise FormatError(f"{what} does not say in which file its values are")
    path = folder / location
    inside = path.resolve().is_relative_to(folder.resolve())
    if Path(location).is_absolute() or ".." in Path(location).parts or not inside:
        raise FormatError(f"{what} is kept in '{location}', outside of the model's folder: not read")
    if not path.is_file():
        raise FormatError(f"{what} is kept in '{location}', which is not beside the model")
    return path
