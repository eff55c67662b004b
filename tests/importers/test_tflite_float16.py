"""float16 constants behind a DEQUANTIZE, as TFLite's converter writes them."""

from __future__ import annotations

import numpy as np
import pytest

from harness import importers
from harness.errors import FormatError
from harness.ops import infer_shapes
from harness.quantize import float16
from tests.conformance.model_file import ModelFile

F16, F32 = np.float16, np.float32


def load(file: ModelFile, inputs, outputs, tmp_path):
    path = tmp_path / "halves.tflite"
    path.write_bytes(file.content(inputs, outputs, {}))
    return importers.load(path)


def expanded(file: ModelFile, name: str, stored: int, shape) -> int:
    index = file.tensor(name, shape, F32)
    file.operator("DEQUANTIZE", [stored], [index], None, {})
    return index


def test_weights_are_read_with_the_values_that_they_stand_for(tmp_path):
    file = ModelFile()
    weights = np.linspace(-3, 3, 12).reshape(3, 4).astype(F16)
    x, y = file.tensor("x", (1, 4), F32), file.tensor("y", (1, 3), F32)
    w = expanded(file, "w", file.tensor("w16", (3, 4), F16, weights), (3, 4))
    file.operator("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions", {})
    graph = load(file, [x], [y], tmp_path)
    assert [node.op for node in graph.nodes] == ["FullyConnected"]
    assert graph.const("w").dtype == F32
    assert np.array_equal(graph.const("w"), weights.astype(F32))
    again = infer_shapes(float16.convert(graph))
    assert np.array_equal(again.const(again.nodes[0].inputs[1]), weights)


def test_float16_activations_are_refused(tmp_path):
    file = ModelFile()
    x, y = file.tensor("x", (1, 4), F16), file.tensor("y", (1, 4), F32)
    file.operator("DEQUANTIZE", [x], [y], None, {})
    with pytest.raises(FormatError, match="float16 values in 'x'; float16 is read where it holds constants"):
        load(file, [x], [y], tmp_path)


def test_a_file_cannot_expand_one_constant_without_end(tmp_path):
    file = ModelFile()
    x, y = file.tensor("x", (1, 4), F32), file.tensor("y", (1, 4), F32)
    file.operator("RELU", [x], [y], None, {})
    stored = file.tensor("stored", (1, 100_000), F16, np.ones((1, 100_000), F16))
    for i in range(20):
        expanded(file, f"copy{i}", stored, (1, 100_000))
    with pytest.raises(FormatError, match="than a file of its size can hold"):
        load(file, [x], [y], tmp_path)
