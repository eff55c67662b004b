"""The conformance suite as tests: a few configurations of each op here by default, all of them when slow."""

from __future__ import annotations

import numpy as np
import pytest

from harness.exporters import tflite
from harness.formats import runtime_ops
from harness.importers import load
from harness.ops import infer_shapes, initial_state, run_reference
from tests.conformance import cases  # noqa: F401 (registers the cases)
from tests.conformance.check import DEVICES, build, check, difference, run_litert
from tests.conformance.draw import CASES

FEW, ALL = 8, 50
EACH = pytest.mark.parametrize("case", [CASES[key] for key in sorted(CASES)], ids=lambda case: case.name)


@EACH
def test_conforms_here(case):
    assert not check(case, list(range(FEW)), ["local"])


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@EACH
def test_conforms_everywhere(case, device):
    assert not check(case, list(range(ALL)), [device])


@pytest.mark.parametrize(
    "case", [c for c in CASES.values() if c.arithmetic != "uint8"], ids=lambda case: case.name
)
def test_exporting_what_was_imported_gives_the_same_answers(case, tmp_path):
    model, content = build(case, list(range(FEW)))
    (tmp_path / "m.tflite").write_bytes(content)
    again = tflite.write(infer_shapes(load(tmp_path / "m.tflite")))
    expected, actual = (run_litert(case, model, file) for file in (content, again))
    for theirs, ours in zip(expected, actual, strict=True):
        assert [a.tobytes() for a in ours] == [a.tobytes() for a in theirs]


@pytest.mark.parametrize("case", [c for c in CASES.values() if c.arithmetic == "f32"], ids=lambda c: c.name)
def test_numpy_references_agree(case, tmp_path):
    model, content = build(case, list(range(FEW)))
    (tmp_path / "m.tflite").write_bytes(content)
    graph = infer_shapes(load(tmp_path / "m.tflite"))
    state = initial_state(graph)
    for sample, theirs in enumerate(run_litert(case, model, content)):
        feeds = dict(zip(graph.inputs, (values[sample] for values in model.values), strict=True))
        for ours, expected in zip(run_reference(graph, feeds, state=state).values(), theirs, strict=True):
            assert (ours.shape, ours.dtype) == (expected.shape, expected.dtype)
            np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max(initial=1))


NOT_DRAWN = {  # blocks of int16, which LiteRT refuses and which are moved like any other bytes
    ("DEPTH_TO_SPACE", "int16"),
    ("SPACE_TO_DEPTH", "int16"),
    ("QUANTIZE", "f32"),  # always beside a quantized tensor
    ("DEQUANTIZE", "f32"),
}


def test_every_arithmetic_of_every_op_is_drawn():
    plain = {"f32", "int32", "int64", "bool"}  # what ops.def calls f32
    drawn = {(op, "f32" if arithmetic in plain else arithmetic) for op, arithmetic in CASES}
    claimed = {(op.c_name, kind) for op in runtime_ops().values() for kind in op.arithmetics - {"hybrid"}}
    assert claimed - drawn - NOT_DRAWN == set()


def test_differences_are_seen():
    values = np.array([1.0, 2.0, np.nan, np.inf], np.float32)
    assert difference(values, values.copy(), values) is None
    assert difference(values * np.float32(1 + 5e-7), values, values) is None
    assert "1 of 4 differ, first at (1,)" in difference(values + np.float32([0, 1e-4, 0, 0]), values, values)
    assert difference(values + np.float32([0, 1e-4, 0, 0]), values, 100 * values) is None
    assert "expected int8(1,)" in difference(np.zeros(1, np.uint8), *[np.zeros(1, np.int8)] * 2)
    assert "1 of 2 differ" in difference(np.float32([np.inf, 1]), np.float32([3, 1]), np.float32([np.inf, 1]))
