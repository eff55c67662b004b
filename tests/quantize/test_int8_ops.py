"""Elementary ops that we quantize ourselves: near the float answer, and LiteRT's bytes once exported."""

from __future__ import annotations

import numpy as np
import pytest

from harness.exporters import tflite
from harness.ops import run_reference
from harness.quantize import int8
from tests.quantize.test_int8 import ranges_of
from tests.support import runner
from tests.support.graphs import Builder

litert = pytest.importorskip("tests.support.litert", reason="needs ai-edge-litert")

SHAPE = (1, 4, 5, 6)
UNARY = ("Elu", "Exp", "Gelu", "HardSwish", "L2Normalization", "LeakyRelu", "LogSoftmax", "Logistic")
UNARY += ("ReluN1To1", "Tanh", "Abs")
BINARY = ("Add", "Div", "Maximum", "Minimum", "Mul", "Prelu", "SquaredDifference", "Sub")
REDUCTIONS = ("Mean", "ReduceMax", "ReduceMin", "Sum")


def network(op: str):
    b = Builder()
    x = b.input(SHAPE)
    if op in BINARY:
        return b.build(b.node(op, x, b.const(np.linspace(0.5, 2, 6, dtype=np.float32), "operand")))
    if op in REDUCTIONS:
        return b.build(b.node(op, x, b.const(np.array([1, 2], np.int32), "axes")))
    return b.build(b.node(op, x))


@pytest.mark.parametrize("op", [*UNARY, *BINARY, *REDUCTIONS])
def test_quantized_op(op, tmp_path):
    rng = np.random.default_rng(0)
    samples = [rng.normal(size=SHAPE).astype(np.float32) for _ in range(8)]
    graph = network(op)
    quantized = int8.quantize(graph, ranges_of(graph, samples))
    assert [node.op for node in quantized.nodes] == [op]
    (x,), (y,) = (
        [quantized.tensors[name] for name in names] for names in (quantized.inputs, quantized.outputs)
    )
    stored = x.quant.quantize(samples[0], np.int8)
    (ours,) = runner.predict(quantized, [stored], tmp_path)
    (exact,) = run_reference(graph, {"x": samples[0]}).values()
    step = float(y.quant.scale[0])
    assert np.abs(y.quant.dequantize(ours) - exact).max() < 0.05 * np.ptp(exact) + 2 * step
    if op not in ("Div", "Sum"):  # the reference kernels of these are wrong in places: docs/ops.md
        (theirs,) = litert.Reference(tflite.write(quantized), optimized=op == "Elu").run(stored)
        assert ours.tobytes() == theirs.tobytes()
