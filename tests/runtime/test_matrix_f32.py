"""float32 convolutions and fully connected layers: close to LiteRT, the same bits on every ISA variant."""

from __future__ import annotations

import numpy as np
import pytest

from harness.exporters import tflite
from harness.graph import Graph
from harness.ops import run_reference
from tests.support import runner
from tests.support.linear_checks import VARIANTS, check_variant_equals_scalar
from tests.support.linear_graphs import OPS, linear_graph, random_inputs
from tests.support.litert import Reference


def magnitudes(graph: Graph, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """|b| + Σ |x|·|w| of every output: what rounding errors of a sum are relative to."""
    graph = graph.clone()
    for tensor in graph.tensors.values():
        if tensor.is_const:
            tensor.data = np.abs(tensor.data)
    for node in graph.nodes:
        node.attrs["activation"] = None
    results = run_reference(graph, dict(zip(graph.inputs, map(np.abs, inputs), strict=True)))
    return [results[name] for name in graph.outputs]


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("seed", [1, 2])
def test_reference_loops_agree_with_litert(op, seed, tmp_path):
    graph = linear_graph(op, "f32", 80, seed)
    inputs = random_inputs(graph, seed)
    expected = Reference(tflite.write(graph)).run(*inputs)
    actual = runner.predict(graph, inputs, tmp_path, isa="scalar", sanitized=True)
    bounds = magnitudes(graph, inputs)
    for node, ours, theirs, bound in zip(graph.nodes, actual, expected, bounds, strict=True):
        assert np.all(np.abs(ours - theirs) <= 1e-6 * bound), node


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(("arch", "isa"), VARIANTS)
def test_every_variant_equals_the_reference_loops(op, arch, isa, tmp_path):
    check_variant_equals_scalar(op, "f32", arch, isa, tmp_path)


@pytest.mark.parametrize("op", OPS)
def test_nan_stays_nan_through_a_fused_activation(op, tmp_path):
    graph = linear_graph(op, "f32", 20, seed=3)
    inputs = [np.full_like(x, np.nan) for x in random_inputs(graph, seed=3)]
    for isa in ("scalar", ""):
        outputs = runner.predict(graph, inputs, tmp_path, isa=isa)
        assert all(np.isnan(y).any() for y in outputs)
