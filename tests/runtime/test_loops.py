"""Ops whose loops the ISA variants compile for themselves: the bytes of the plain loops of "scalar"."""

from __future__ import annotations

import numpy as np
import pytest

from harness.graph import Graph
from harness.ops import infer_shapes
from tests.support import op_graphs, runner
from tests.support.linear_checks import skip_unless_it_runs

VARIANTS = (("x86_64", "avx2"), ("x86_64", "avx512"), ("aarch64", "neon"), ("armv7", "neon"))
OPS = ("Add", "Mul", "AveragePool2D", "MaxPool2D")


def add_wide(graph: Graph, op: str, quantized: bool) -> None:
    """Layers with enough channels for whole registers, and some more."""
    rng = np.random.default_rng(11)
    for index, channels in enumerate((16, 64, 79, 150)):
        d = op_graphs.Draw(graph, 100 + index, quantized, rng)
        x = d.input((1, 6, 5, channels))
        if op.endswith("Pool2D"):
            window = {"filter": (3, 3), "stride": (1 + index % 2, 1), "padding": "SAME"}
            d.node(op, x, quant=d.quant_of(x), activation=None, **window)
        else:
            same = d.quant_of(x) if index % 2 else None  # sums of equal scales halve both
            d.node(op, x, d.input((1, 6, 5, channels), same), activation="relu")
    infer_shapes(graph.verify())


@pytest.mark.parametrize("quantized", [True, False], ids=["int8", "f32"])
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(("arch", "isa"), VARIANTS)
def test_every_variant_equals_the_plain_loops(op, quantized, arch, isa, tmp_path):
    skip_unless_it_runs(arch, isa)
    graph = op_graphs.op_graph(op, quantized, 60, seed=9)
    add_wide(graph, op, quantized)
    inputs = op_graphs.random_inputs(graph, seed=10)
    expected = runner.predict(graph, inputs, tmp_path, isa="scalar")
    actual = runner.predict(graph, inputs, tmp_path, arch=arch, isa=isa)
    for node, ours, reference in zip(graph.nodes, actual, expected, strict=True):
        assert ours.tobytes() == reference.tobytes(), node
