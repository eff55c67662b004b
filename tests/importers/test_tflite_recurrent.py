"""Recurrent operators of .tflite files: state becomes variables, and what is not supported is named."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import FormatError
from harness.graph import Quantization
from harness.importers import load
from tests.conformance import cases  # noqa: F401 (registers the cases)
from tests.conformance.check import build
from tests.conformance.draw import CASES, Draw, Model

LSTM = CASES["UNIDIRECTIONAL_SEQUENCE_LSTM", "int8"]


def changed_lstm(tmp_path, *, intermediates=None, **options):
    """The file of a drawn int8 LSTM whose options or intermediates are others."""
    model = Model()
    draw = Draw(model, LSTM, 0)
    write = model.file.operator

    def operator(op, inputs, outputs, kind, drawn, between):
        between = between if intermediates is None else intermediates(draw, between)
        write(op, inputs, outputs, kind, drawn | options, between)

    model.file.operator = operator
    LSTM.function(draw)
    path = tmp_path / "m.tflite"
    path.write_bytes(model.content())
    return path


def test_state_becomes_variables(tmp_path):
    _, content = build(CASES["UNIDIRECTIONAL_SEQUENCE_LSTM", "f32"], [0])
    (tmp_path / "m.tflite").write_bytes(content)
    graph = load(tmp_path / "m.tflite")
    states = [graph.tensors[name] for name in graph.nodes[0].inputs[18:20]]
    assert all(state.is_variable and state.data is None for state in states)


def other_scale(draw, between):
    return [*between[:4], draw.between((), np.int8, Quantization(0.5, 0))]


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({"FusedActivationFunction": 0}, "has no activation"),
        ({"FusedActivationFunction": 5}, "fused activation 5, which is not supported"),
        ({"DiagonalRecurrentTensors": True}, "diagonal recurrent weights"),
        ({"intermediates": lambda draw, between: between[:4]}, "lacks its five intermediate tensors"),
        ({"intermediates": other_scale}, "otherwise than its output"),
    ],
)
def test_what_is_not_supported_is_named(how, problem, tmp_path):
    with pytest.raises(FormatError, match=problem):
        load(changed_lstm(tmp_path, **how))
