"""ONNX (.onnx, opset 11 to 21) → Graph, for networks on images, float or quantized (QDQ or QOperator).

ONNX convolves channels first, the IR channels last. A value therefore may exist in several *forms*, each with
its axes permuted (`onnx_values`); a translator asks for the form in which the IR's op computes, and a
Transpose is added only where no node has produced that form. So a network is turned once, at its input, and
back where the layout matters: before a Reshape that mixes axes, and at an output. Inputs and outputs keep
ONNX's names, shapes and types.

Sizes are fixed: an open batch dimension becomes 1, any other open one is refused. What depends on sizes and
constants alone is computed while reading (`onnx_constants`). Nodes that no output needs are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import FormatError, UsageError
from harness.graph import Graph
from harness.importers import read_bytes

PRODUCER = "quantbench"  # as harness/exporters/onnx_writer.py names itself


def load(path: Path, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> Graph:
    """Reads a .onnx file; see `harness.importers.load` for arguments and errors."""
    try:
        import onnx
    except ImportError as error:
        raise UsageError(
            f"reading '{path}' needs the package onnx: pip install 'quantbench[onnx]'"
        ) from error
    from google.protobuf.message import DecodeError

    from harness.importers.onnx_reader import Reader

    content, model = read_bytes(path), onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise FormatError(f"'{path}' is not a .onnx file, or it is damaged: {error}") from error
    graph = Reader(path, model, len(content)).graph(inputs, outputs)
    if model.producer_name != PRODUCER:
        _round_once(graph)
    return graph


def _round_once(graph: Graph) -> None:
    """ONNX Runtime rounds what it quantizes once, TFLite's kernels twice; our own files mean the latter."""
    for node in graph.nodes:
        if node.op == "Quantize":
            node.attrs["rounds_once"] = True
