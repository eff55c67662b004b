"""Changed model files of every op: refused with a message or run, under the sanitizers."""

from __future__ import annotations

import pytest

from harness import pack
from harness.importers import load
from harness.ops import infer_shapes
from tests.conformance import cases  # noqa: F401 (registers the cases)
from tests.conformance.check import build
from tests.conformance.draw import CASES
from tests.runtime.test_loader_fuzz import fuzz

CHOSEN = [CASES[key] for key in sorted(CASES)]
FEW = [case for case in CHOSEN if case.name in ("DIV-int8", "SUM-f32")]


def check(case, count: int, tmp_path) -> None:
    _, content = build(case, [0, 1])
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    refused_at_open, _, ran = fuzz(pack.pack(infer_shapes(load(path))), count, tmp_path)
    assert refused_at_open
    assert ran


@pytest.mark.parametrize("case", FEW, ids=lambda case: case.name)
def test_changed_models(case, tmp_path):
    check(case, 500, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.name)
def test_changed_models_of_every_op(case, tmp_path):
    check(case, 4000, tmp_path)
