"""Measurements as plain JSON, for files that carry them: one line each, checked by a hash.

    {"sha256": "<of the record's JSON text>", "record": {"run": {…}, "measurement": {…}}}

The fields are those of `RunRecord` and `Measurement`; arrays are lists. Reading is strict, because files are
hostile: the type of each field is its check.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
from collections.abc import Sequence
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from harness.errors import FormatError
from harness.results import Measurement, RunRecord

# Arrays by the name of their field: dtype and number of dimensions.
ARRAYS = {"ns": ("<i8", 1), "labels": ("<i4", 1), "classes": ("<i4", 2), "scores": ("<f4", 2)}
LEFT_OUT = {"remote", "shards", "metric"}  # what a device is asked for, of no use later


@dataclasses.dataclass(frozen=True)
class Entry:
    """A measurement together with its run."""

    run: RunRecord
    measurement: Measurement


def to_line(entry: Entry) -> bytes:
    """One line of JSON, with its end."""
    record = json.dumps(plain(entry), allow_nan=False)
    digest = hashlib.sha256(record.encode()).hexdigest()
    return f'{{"sha256": "{digest}", "record": {record}}}\n'.encode()


def from_line(line: bytes) -> Entry:
    """The measurement of a line. Raises FormatError for anything but a whole, unchanged one."""
    try:
        value = json.loads(line)
        digest, record = value["sha256"], value["record"]
        text = json.dumps(record)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise FormatError("it is cut off or is no measurement") from None
    if digest != hashlib.sha256(text.encode()).hexdigest():
        raise FormatError("it was changed after it was written: its hash does not fit")
    return checked(record)


def plain(value: Any) -> Any:
    """Dataclasses as dicts, arrays and tuples as lists."""
    if dataclasses.is_dataclass(value):
        return {name: plain(getattr(value, name)) for name in field_types(type(value))}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return value


def checked(value: object) -> Entry:
    """What `plain` made of an entry, as an entry again. Raises FormatError naming what is wrong."""
    entry = _read(Entry, value, "record")
    _check_agreement(entry.measurement)
    return entry


def read(kind: Any, value: object, where: str) -> Any:
    """A dataclass as `plain` wrote it. Raises FormatError naming what is wrong, below the name `where`."""
    return _read(kind, value, where)


@cache
def field_types(kind: type) -> dict[str, Any]:
    """The fields of a dataclass that files carry, with their types."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.name not in LEFT_OUT}


def is_optional(hint: Any) -> bool:
    """Whether a type is `X | None`."""
    return get_origin(hint) in (Union, types.UnionType)


def item_type(hint: Any) -> Any:
    """X of `X | None`, of `tuple[X, …]` and of `Sequence[X]`."""
    return get_args(hint)[0]


def _read(hint: Any, value: object, where: str) -> Any:
    if is_optional(hint):
        return None if value is None else _read(item_type(hint), value, where)
    if dataclasses.is_dataclass(hint):
        known = field_types(hint)
        # A file may be older than a field that can be None.
        newer = {field.name for field in dataclasses.fields(hint) if field.default is None}
        if not isinstance(value, dict) or not known.keys() - newer <= value.keys() <= known.keys():
            raise FormatError(f"{where} must have the fields {', '.join(known)}")
        return hint(**{name: _read(known[name], value[name], f"{where}.{name}") for name in value})
    if hint is np.ndarray:
        return _array(value, where)
    if get_origin(hint) in (tuple, Sequence):
        if not isinstance(value, list):
            raise FormatError(f"{where} must be a list")
        return tuple(_read(item_type(hint), entry, where) for entry in value)
    if get_origin(hint) is dict:
        return _read_dict(hint, value, where)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint or (hint is int and not -(2**63) <= value < 2**63):
        raise FormatError(f"{where} must be of type {hint.__name__}")
    return value


def _read_dict(hint: Any, value: object, where: str) -> dict:
    """A dict with texts as keys; its values are checked where they have a type other than `object`."""
    if not isinstance(value, dict):
        raise FormatError(f"{where} must be an object")
    kind = get_args(hint)[1]
    return value if kind is object else {name: _read(kind, value[name], f"{where}.{name}") for name in value}


def _array(value: object, where: str) -> np.ndarray:
    dtype, dimensions = ARRAYS[where.rpartition(".")[2]]
    try:
        array = np.array(value, dtype) if isinstance(value, list) else None
    except (ValueError, TypeError, OverflowError):
        array = None
    if array is None or array.ndim != dimensions or (dtype != "<f4" and not _all_int(value)):
        raise FormatError(f"{where} must be a list of numbers in {dimensions} dimensions")
    return array


def _all_int(values: list) -> bool:
    return all(_all_int(v) if isinstance(v, list) else type(v) is int for v in values)


def _check_agreement(measurement: Measurement) -> None:
    """What the database could not store or would read back as damage."""
    cell, info = measurement.cell, measurement.info
    if (cell.device, cell.arch, cell.cpu, cell.emulated) != (info.name, info.arch, info.cpu, info.emulated):
        raise FormatError("the cell is not of the device that is described")
    dataset, predictions = measurement.dataset, measurement.predictions
    if (dataset is None) != (predictions is None):
        raise FormatError("predictions and their data set go together")
    if dataset is not None:
        counts = {len(dataset.ids), len(dataset.labels), len(predictions.classes), len(predictions.scores)}
        if len(counts) != 1 or predictions.classes.shape != predictions.scores.shape:
            raise FormatError("predictions, labels and names of samples are not equally many")
