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

IMPORTERS = {
    ".meta": "checkpoint",
    ".onnx": "onnx",
    ".pb": "graphdef",
    ".tflite": "tflite",
}
"""Suffix → module of this package."""
_KERAS = (
    "run python -c \"import keras; keras.saving.load_model('{path}').export('{stem}')\" and give the folder "
    "'{stem}'"
)
_TORCH = (
    "load the model in Python, run torch.onnx.export(model, (torch.zeros(1, 3, 224, 224),), '{stem}.onnx', "
    "opset_version=18, external_data=False) with its own input shape, and give '{stem}.onnx'"
)
EXPORTS = {".keras": _KERAS, ".h5": _KERAS, ".hdf5": _KERAS, ".pt": _TORCH, ".pth": _TORCH}
"""Suffix of a file that holds a framework's own objects → how that framework exports it."""
SAVED_MODEL = "saved_model.pb"  # what makes a folder a SavedModel


def load(
    path: str | Path,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    checkpoint: str | Path | None = None,
) -> Graph:
    """Reads a model file, or a SavedModel's folder, into a Graph that passes `verify()`.

    inputs, outputs: tensor names where the network begins and ends; empty means what the file itself says (a
    GraphDef: its placeholders, and the nodes that nobody reads). checkpoint: prefix of the one that holds the
    values of a GraphDef's variables; a .meta file's own is found beside it.

    Raises UsageError for a missing file, an unknown suffix, an unknown name or a package that is not
    installed, and FormatError for a file that is damaged, hostile or uses something unsupported.
    """
    path = Path(path)
    if path.name == SAVED_MODEL and (path.parent / "variables").is_dir():
        path = path.parent
    module = _module(path)
    if checkpoint is None:
        return importlib.import_module(f"{__name__}.{module}").load(path, inputs, outputs)
    if module not in ("graphdef", "checkpoint"):
        raise UsageError(f"a checkpoint goes with a .pb or .meta file, not with '{path}'")
    checkpoints = importlib.import_module(f"{__name__}.checkpoint")
    return checkpoints.load(path, inputs, outputs, Path(checkpoint))


def _module(path: Path) -> str:
    """The importer of a file or folder that is there."""
    if path.is_dir() and (path / SAVED_MODEL).is_file():
        return "savedmodel"
    if path.suffix.lower() in EXPORTS and path.is_file():
        line = EXPORTS[path.suffix.lower()].format(path=path, stem=path.with_suffix(""))
        raise UsageError(f"cannot import '{path}' without its framework: {line}")
    if path.suffix.lower() not in IMPORTERS:
        suffixes = ", ".join(sorted(IMPORTERS))
        raise UsageError(
            f"cannot import '{path}': its suffix is none of {suffixes}, nor is it a SavedModel's folder"
        )
    if path.is_dir():
        raise UsageError(f"cannot import '{path}': it is a folder, not a {path.suffix} file")
    if not path.exists():
        raise UsageError(f"model file '{path}' does not exist")
    return IMPORTERS[path.suffix.lower()]


def read_bytes(path: Path) -> bytes:
    """The file's content; UsageError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror}") from error
