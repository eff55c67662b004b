"""Exporters: Graph → a file that a runtime or viewer opens.

The file's suffix names the exporter: one line below and one module with `write(graph) -> bytes`.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from harness.errors import UsageError
from harness.files import replacing
from harness.graph import Graph

EXPORTERS = {".onnx": "onnx", ".pb": "graphdef", ".qbm": "qbm", ".tflite": "tflite"}  # suffix → module


def check_suffix(path: str | Path) -> str:
    """The module that writes files of this suffix; UsageError where there is none."""
    module = EXPORTERS.get(Path(path).suffix.lower())
    if module is None:
        raise UsageError(f"cannot write '{path}': its suffix is none of {', '.join(sorted(EXPORTERS))}")
    return module


def save(graph: Graph, path: str | Path) -> int:
    """Writes a graph with inferred shapes in the format of the suffix, whole or not at all; returns its size.

    Raises UsageError for an unknown suffix, a package that is not installed or a path that cannot be written,
    and FormatError naming the node or tensor that the format has no form for.
    """
    path = Path(path)
    module = importlib.import_module(f"{__name__}.{check_suffix(path)}")
    content = module.write(graph)
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise UsageError(f"cannot write '{path}': {error.strerror}") from error
    return len(content)
