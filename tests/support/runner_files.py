"""A small model for the runner, and data set files for it."""

from __future__ import annotations

import zlib

import numpy as np

from harness.formats import align, constants, record
from harness.graph import Graph
from tests.support.graphs import Builder

WINDOWS = {"filter": (2, 2), "stride": (2, 2), "padding": "VALID"}


def float_graph(name: str = "small") -> Graph:
    """(1, 4, 4, 2) → pool → relu → softmax over 8 classes."""
    b = Builder(name)
    pooled = b.node("MaxPool2D", b.input((1, 4, 4, 2)), name="pool", **WINDOWS)
    relu = b.node("Relu", pooled, name="relu")
    return b.build(b.node("Softmax", b.node("Reshape", relu, shape=(1, 8)), name="softmax"))


def dataset_bytes(samples: np.ndarray, scale=(1.0,), offset=(0.0,), **changes: object) -> bytes:
    """A dataset file by format.def; `changes` are wrong header fields, covered by a right checksum."""
    data = samples.tobytes()
    affine = np.array([*scale, *offset], "<f4").tobytes()
    start = align(record("dataset_header").nbytes + len(affine))
    fields = {
        "magic": np.frombuffer(b"QBDATA\n\0", np.uint8),
        "version": constants()["DATASET_VERSION"],
        "header_size": record("dataset_header").nbytes,
        "file_size": start + len(data),
        "dtype": constants()[{"uint8": "U8", "int8": "S8", "float32": "F32"}[str(samples.dtype)]],
        "rank": samples.ndim - 1,
        "dims": (*samples.shape[1:], *[1] * (7 - samples.ndim)),
        "count": len(samples),
        "data_offset": start,
        "channels": len(scale),
        "data_crc32": zlib.crc32(data),
    }
    header = record("dataset_header", **(fields | changes))
    header["header_crc32"] = zlib.crc32(header.tobytes() + affine)
    return (header.tobytes() + affine).ljust(start, b"\0") + data


def pixels(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 2)).astype(np.uint8)
