"""Importers: a model file of another framework → Graph.

The file's suffix names the importer: one line below and one module with `load(path, inputs, outputs)`.
Importing says what the file says and no more; making the graph small and fast is the passes' work.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.graph import Graph

IMPORTERS = {".pb": "graphdef", ".tflite": "tflite"}  # suffix → module of this package


def load(path: str | Path, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> Graph:
    """Reads a model file into a Graph that passes `verify()`.

    inputs, outputs: tensor names where the network begins and ends; empty means what the file itself says (a
    GraphDef: its placeholders, and the nodes that nobody reads).

    Raises UsageError for a missing file, an unknown suffix, an unknown name or a package that is not
    installed, and FormatError for a file that is damaged, hostile or uses something unsupported.
    """
    path = Path(path)
    module = IMPORTERS.get(path.suffix.lower())
    if module is None:
        raise UsageError(f"cannot import '{path}': its suffix is none of {', '.join(sorted(IMPORTERS))}")
    if path.is_dir():
        raise UsageError(f"cannot import '{path}': it is a folder, not a {path.suffix} file")
    if not path.exists():
        raise UsageError(f"model file '{path}' does not exist")
    return importlib.import_module(f"{__name__}.{module}").load(path, inputs, outputs)


def read_bytes(path: Path) -> bytes:
    """The file's content; UsageError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror}") from error
