"""Ops whose loops the ISA variants compile for themselves: the bytes of the plain loops of "scalar"."""

from __future__ import annotations

import pytest

from tests.support import op_graphs, runner
from tests.support.linear_checks import skip_unless_it_runs

VARIANTS = (("x86_64", "avx2"), ("x86_64", "avx512"), ("aarch64", "neon"), ("armv7", "neon"))
OPS = ("Add", "Mul", "AveragePool2D", "MaxPool2D")


@pytest.mark.parametrize("quantized", [True, False], ids=["int8", "f32"])
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(("arch", "isa"), VARIANTS)
def test_every_variant_equals_the_plain_loops(op, quantized, arch, isa, tmp_path):
    skip_unless_it_runs(arch, isa)
    graph = op_graphs.op_graph(op, quantized, 60, seed=9)
    inputs = op_graphs.random_inputs(graph, seed=10)
    expected = runner.predict(graph, inputs, tmp_path, isa="scalar")
    actual = runner.predict(graph, inputs, tmp_path, arch=arch, isa=isa)
    for node, ours, reference in zip(graph.nodes, actual, expected, strict=True):
        assert ours.tobytes() == reference.tobytes(), node
