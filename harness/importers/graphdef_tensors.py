"""Constants and shapes in a GraphDef's protobufs, checked against the file's own size before use."""

from __future__ import annotations

import math

import numpy as np

from harness.errors import FormatError
from harness.ops import Shape

MAX_RANK = 8

# DataType number of tensorflow/core/framework/types.proto → (dtype, field of TensorProto)
DTYPES = {
    1: (np.float32, "float_val"),
    2: (np.float64, "double_val"),
    3: (np.int32, "int_val"),
    4: (np.uint8, "int_val"),
    5: (np.int16, "int_val"),
    6: (np.int8, "int_val"),
    9: (np.int64, "int64_val"),
    10: (np.bool_, "bool_val"),
    11: (np.int8, "int_val"),  # qint8
}


def tensor_values(node, room: int) -> np.ndarray:
    """The array of a Const NodeDef, at most `room` bytes; read-only where it lies in the file.

    TensorProto keeps values as raw little-endian bytes, or as a list whose last value fills the rest. Raises
    FormatError naming the node where bytes and shape disagree.
    """
    where = f"constant '{node.name}'"
    proto = node.attr["value"].tensor
    if proto.dtype not in DTYPES:
        raise FormatError(f"{where} has data type {proto.dtype}, which is not supported")
    dtype, field = DTYPES[proto.dtype]
    shape = _shape(where, proto.tensor_shape)
    if shape is None or any(d < 0 for d in shape):
        raise FormatError(f"{where} does not say its shape")
    size = math.prod(shape)
    expected = size * np.dtype(dtype).itemsize
    if expected > room:
        raise FormatError(f"{where} of shape {shape} holds more than a file of this size can mean")
    if proto.tensor_content:
        if len(proto.tensor_content) != expected:
            raise FormatError(
                f"{where} of shape {shape} needs {expected} bytes but has {len(proto.tensor_content)}"
            )
        return np.frombuffer(proto.tensor_content, np.dtype(dtype).newbyteorder("<")).reshape(shape)
    return _listed_values(where, getattr(proto, field), dtype, shape, size)


def _listed_values(where: str, listed, dtype, shape: Shape, size: int) -> np.ndarray:
    if len(listed) > size:
        raise FormatError(f"{where} of shape {shape} has {len(listed)} values, more than fit")
    try:
        values = np.array(listed, dtype)
    except OverflowError as error:
        raise FormatError(f"{where} has a value that does not fit {np.dtype(dtype)}") from error
    last = values[-1] if len(values) else dtype(0)
    return np.concatenate([values, np.full(size - len(values), last, dtype)]).reshape(shape)


def placeholder_dtype(node) -> np.dtype:
    """Data type that a placeholder states; float32 where it is unknown."""
    return np.dtype(DTYPES.get(node.attr["dtype"].type if "dtype" in node.attr else 1, DTYPES[1])[0])


def placeholder_shape(node) -> Shape | None:
    """Shape that a placeholder states, an unknown batch as 1; None where any other dimension is unknown."""
    if "shape" not in node.attr:
        return None
    shape = _shape(f"placeholder '{node.name}'", node.attr["shape"].shape)
    if shape is None or any(d < 1 for d in shape[1:]):
        return None
    return (1 if shape[0] < 1 else shape[0], *shape[1:]) if shape else ()


def _shape(where: str, proto) -> Shape | None:
    if proto.unknown_rank:
        return None
    if len(proto.dim) > MAX_RANK:
        raise FormatError(f"{where} has {len(proto.dim)} dimensions; at most {MAX_RANK} are supported")
    return tuple(int(d.size) for d in proto.dim)
