"""The layouts of the model and dataset files and the list of ops, read from the files that C includes.

`runtime/include/format.def` and `ops.def` are the one specification; this module parses their lines into
NumPy record types and tables, so that nothing is written down twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

INCLUDE = Path(__file__).parent.parent / "runtime" / "include"

_TYPES = {"u8": "u1", "u16": "<u2", "u32": "<u4", "u64": "<u8", "i32": "<i4", "f32": "<f4"}
_CONST = re.compile(r"^QB_CONST\((\w+), (\w+)\)", re.M)
_STRUCT = re.compile(r"^QB_STRUCT\((\w+), (\d+)\)(.*?)^QB_END\(\1\)", re.M | re.S)
_FIELD = re.compile(r"^QB_(?:FIELD|ARRAY)\((\w+),\s+(\w+)(?:, (\d+))?\)", re.M)
_OP = re.compile(r"^QB_OP\(\s*(\d+), (\w+),\s*(\w+),\s*([\w| ]+)\)", re.M)


@dataclass(frozen=True)
class RuntimeOp:
    """One line of ops.def: code, name in C, arithmetics ("f32", "f16", "hybrid", "int8", "int16").

    in_place: its output may take the place of an input of the same size.
    """

    code: int
    c_name: str
    arithmetics: frozenset[str]
    in_place: bool


@cache
def constants() -> dict[str, int]:
    """The QB_CONST lines of format.def."""
    return {name: int(value, 0) for name, value in _CONST.findall(_read("format.def"))}


@cache
def records() -> dict[str, np.dtype]:
    """struct name → NumPy record dtype with C's natural alignment; ValueError where a size is wrong."""
    dtypes: dict[str, np.dtype] = {}
    for name, size, body in _STRUCT.findall(_read("format.def")):
        fields = [
            (field, dtypes.get(kind) or _TYPES[kind], (int(count),) if count else ())
            for kind, field, count in _FIELD.findall(body)
        ]
        dtypes[name] = np.dtype(fields, align=True)
        if dtypes[name].itemsize != int(size):
            raise ValueError(f"format.def: {name} is {dtypes[name].itemsize} bytes, not {size}")
    return dtypes


@cache
def runtime_ops() -> dict[str, RuntimeOp]:
    """IR op name → what the runtime has for it."""
    ops = {}
    for code, c_name, ir, joined in _OP.findall(_read("ops.def")):
        kinds = frozenset(part.strip().lower() for part in joined.split("|"))
        ops[ir] = RuntimeOp(int(code), c_name, kinds - {"in_place"}, "in_place" in kinds)
    return ops


def _read(name: str) -> str:
    return (INCLUDE / name).read_text(encoding="utf-8")


def record(struct: str, /, **fields: object) -> np.ndarray:
    """One zeroed record of `struct` with these fields set, shape ()."""
    value = np.zeros((), records()[struct])
    for field, content in fields.items():
        value[field] = content
    return value


def align(offset: int) -> int:
    """The next multiple of the formats' alignment."""
    unit = constants()["ALIGNMENT"]
    return -(-offset // unit) * unit
