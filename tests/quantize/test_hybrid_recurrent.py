"""Recurrent layers that we quantize: LiteRT computes of our exported file what our runtime does."""

from __future__ import annotations

import numpy as np
import pytest

from harness import pack
from harness.exporters import tflite
from harness.importers import load
from harness.ops import infer_shapes
from harness.quantize import hybrid
from tests.conformance import cases  # noqa: F401 (registers the cases)
from tests.conformance.check import build, run_litert
from tests.conformance.draw import CASES, SAMPLES
from tests.support import runner

OPS = (
    "EMBEDDING_LOOKUP",
    "SVDF",
    "RNN",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
    "BIDIRECTIONAL_SEQUENCE_RNN",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
)


@pytest.mark.parametrize("op", OPS)
def test_litert_computes_what_we_do(op, tmp_path):
    case = CASES[op, "f32"]
    model, content = build(case, [1])
    source, packed, sent, received = (tmp_path / name for name in ("m.tflite", "m.qbm", "in", "out"))
    source.write_bytes(content)
    graph = infer_shapes(hybrid.quantize(infer_shapes(load(source))))
    assert pack.arithmetic(graph, graph.nodes[0]) == "hybrid"
    expected = run_litert(case, model, tflite.write(graph))
    pack.write(graph, packed)
    sent.write_bytes(b"".join(v[i].tobytes() for i in range(SAMPLES) for v in model.values))
    files = ("--model", packed, "--input", sent, "--output", received)
    assert runner.run("predict", *files, "--state", "keep").exit_code == 0
    ours = np.fromfile(received, np.float32)
    theirs = np.concatenate([y.ravel() for outputs in expected for y in outputs])
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6 * np.abs(theirs).max())
