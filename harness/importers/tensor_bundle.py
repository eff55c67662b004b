"""The values of a TensorFlow checkpoint, read without TensorFlow.

    PREFIX.index                  a LevelDB table: key → BundleEntryProto (dtype, shape, where the bytes are)
    PREFIX.data-00000-of-00001    the values, little-endian, one after the other; one file a shard

Formats: tensorflow/core/util/tensor_bundle, leveldb/doc/table_format.md and the wire format of protobufs,
whose messages here are small enough to be read field by field. Sizes are checked against the files.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import FormatError, UsageError
from harness.importers import read_bytes
from harness.importers.graphdef_tensors import DTYPES, MAX_RANK

MAGIC = 0xDB4775248B80FB57
FOOTER = 48  # two block handles, padded to 40 bytes, and the magic number
TRAILER = 5  # of a block: its compression and a checksum
HEADER_KEY = b""
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types


@dataclass(frozen=True)
class Entry:
    """One BundleEntryProto; dtype as a number of types.proto, sliced where the value is in several parts."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    sliced: bool


class Bundle:
    """An open checkpoint. `names` are the keys that its values are stored under."""

    def __init__(self, prefix: Path) -> None:
        """Reads the index; UsageError where the checkpoint is missing, FormatError where it is damaged."""
        self._prefix = prefix
        index = prefix.parent / f"{prefix.name}.index"
        if not index.is_file():
            raise UsageError(
                f"checkpoint '{prefix}' does not exist: there is no '{index.name}' in its folder"
            )
        try:
            table = dict(_table(read_bytes(index)))
            header = fields(table.pop(HEADER_KEY))
            self._shards = _number(header, 1, 1)
            if _number(header, 2) != 0:
                raise FormatError(f"checkpoint '{prefix}' is big-endian, which is not supported")
            self._entries = {key.decode(): _entry(value) for key, value in table.items()}
        except (ValueError, IndexError, KeyError, struct.error) as error:
            raise FormatError(
                f"'{index}' is not the index of a checkpoint, or it is damaged: {error}"
            ) from error

    @property
    def names(self) -> set[str]:
        return set(self._entries)

    @property
    def size(self) -> int:
        """Bytes of all values."""
        return sum(entry.size for entry in self._entries.values())

    def tensor(self, name: str) -> np.ndarray:
        """The array stored under this key, which is one of `names`; FormatError where it cannot be read."""
        entry, where = self._entries[name], f"checkpoint '{self._prefix}': '{name}'"
        if entry.sliced:
            raise FormatError(f"{where} is a variable in several parts, which is not supported")
        if entry.dtype not in DTYPES:
            raise FormatError(f"{where} has data type {entry.dtype}, which is not supported")
        dtype = np.dtype(DTYPES[entry.dtype][0])
        if entry.size != math.prod(entry.shape) * dtype.itemsize:
            raise FormatError(f"{where} of shape {entry.shape} cannot have {entry.size} bytes")
        data = self._prefix.parent / f"{self._prefix.name}.data-{entry.shard:05d}-of-{self._shards:05d}"
        try:
            with data.open("rb") as stream:
                stream.seek(entry.offset)
                content = stream.read(entry.size)
        except OSError as error:
            raise UsageError(f"cannot read '{data}': {error.strerror}") from error
        if len(content) != entry.size:
            raise FormatError(f"{where}: '{data.name}' is too short")
        return np.frombuffer(content, dtype.newbyteorder("<")).reshape(entry.shape)


def _entry(message: bytes) -> Entry:
    found = fields(message)
    sizes = [fields(dim) for shape in found.get(2, []) for dim in fields(shape).get(2, [])]
    shape = tuple(_number(dim, 1) for dim in sizes)
    if len(shape) > MAX_RANK:
        raise ValueError(f"a value has {len(shape)} dimensions")
    return Entry(
        _number(found, 1), shape, _number(found, 3), _number(found, 4), _number(found, 5), 7 in found
    )


# --- the table ---


def _table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The entries of a LevelDB table. Damage shows as ValueError, IndexError or struct.error."""
    footer = content[-FOOTER:]
    if len(footer) < FOOTER or struct.unpack("<Q", footer[-8:])[0] != MAGIC:
        raise ValueError("the footer is missing")
    position = 0
    for _ in range(2):  # the handle of the metaindex, which is empty
        _, position = varint(footer, position)
    for _, handle in _block(content, *_handle(footer, position)):
        yield from _block(content, *_handle(handle, 0))


def _handle(content: bytes, position: int) -> tuple[int, int]:
    offset, position = varint(content, position)
    return offset, varint(content, position)[0]


def _block(content: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Entries share a prefix of their key with the one before; an array of restarts is at the end."""
    block, trailer = content[offset : offset + size], content[offset + size : offset + size + TRAILER]
    if len(block) != size or len(trailer) != TRAILER or size < 4:
        raise ValueError("a block is cut short")
    if trailer[0] != 0:
        raise ValueError("a block is compressed")
    end = size - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    position, key = 0, b""
    while position < end:
        shared, position = varint(block, position)
        fresh, position = varint(block, position)
        length, position = varint(block, position)
        if shared > len(key) or position + fresh + length > end:
            raise ValueError("an entry is cut short")
        key = key[:shared] + block[position : position + fresh]
        position += fresh
        yield key, block[position : position + length]
        position += length


# --- protobufs ---


def varint(content: bytes, position: int) -> tuple[int, int]:
    """The number that begins at `position`, and where it ends; ValueError or IndexError on damage."""
    value = 0
    for shift in range(0, 64, 7):
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number is longer than 64 bits")


def fields(message: bytes) -> dict[int, list[int | bytes]]:
    """Field number → values of a serialized protobuf; ValueError or IndexError on damage."""
    found: dict[int, list[int | bytes]] = {}
    position = 0
    while position < len(message):
        tag, position = varint(message, position)
        kind = tag & 7
        if kind == VARINT:
            value, position = varint(message, position)
        elif kind in (BYTES, FIXED32, FIXED64):
            size = {FIXED32: 4, FIXED64: 8}.get(kind)
            if size is None:
                size, position = varint(message, position)
            value, position = message[position : position + size], position + size
            if position > len(message):
                raise ValueError("a field is cut short")
        else:
            raise ValueError(f"wire type {kind} is unknown")
        found.setdefault(tag >> 3, []).append(value)
    return found


def _number(found: dict[int, list[int | bytes]], field: int, default: int = 0) -> int:
    value = found.get(field, [default])[-1]
    if not isinstance(value, int) or value >= 2**63:
        raise ValueError(f"field {field} is not a size")
    return value
