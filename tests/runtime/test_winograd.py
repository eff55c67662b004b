"""3×3 convolutions by minimal filtering: the bytes of the reference loops, also of the largest sums."""

from __future__ import annotations

import numpy as np
import pytest

from harness import pack
from harness.graph import Graph
from tests.support import runner
from tests.support.linear_checks import VARIANTS, skip_unless_it_runs
from tests.support.linear_graphs import random_inputs
from tests.support.winograd_graphs import SHAPES, conv_graph, largest_transformed, random_weights

KERNELS = {"avx2": "winograd_s8_avx2"}


def check(graph: Graph, inputs: list[np.ndarray], arch: str, isa: str, folder) -> None:
    skip_unless_it_runs(arch, isa)
    expected = runner.predict(graph, inputs, folder, isa="scalar")
    actual = runner.predict(graph, inputs, folder, arch=arch, isa=isa, sanitized=arch == runner.HOST)
    for node, ours, reference in zip(graph.nodes, actual, expected, strict=True):
        assert ours.tobytes() == reference.tobytes(), node


def kernels(graph: Graph, isa: str, folder) -> list[str]:
    pack.write(graph, folder / "model.qbm")
    outcome = runner.run("profile", "--model", folder / "model.qbm", "--runs", 1, isa=isa)
    return [node["kernel"] for node in outcome.named("node")]


@pytest.mark.parametrize("arithmetic", ["int8", "hybrid"])
@pytest.mark.parametrize(("arch", "isa"), VARIANTS)
def test_every_edge_equals_the_reference_loops(arithmetic, arch, isa, tmp_path):
    graph = conv_graph(SHAPES if arch == runner.HOST else SHAPES[:8], arithmetic, random_weights)
    check(graph, random_inputs(graph, seed=4), arch, isa, tmp_path)


@pytest.mark.parametrize("draw", [largest_transformed, lambda rng, shape: np.full(shape, -128)])
@pytest.mark.parametrize("pattern", ["low", "high", "turns"])
@pytest.mark.parametrize(("arch", "isa"), [variant for variant in VARIANTS if variant[0] == runner.HOST])
def test_the_largest_values_are_exact(pattern, draw, arch, isa, tmp_path):
    graph = conv_graph([(1, 24, 20, 224, 32), (1, 24, 20, 240, 32), (1, 9, 9, 470, 32)], "int8", draw)
    inputs = []
    for name in graph.inputs:
        shape = graph.tensors[name].shape
        turns = np.indices(shape)[1:3].sum(axis=0) % 2 == 0
        values = {"low": -128, "high": 127, "turns": np.where(turns, -128, 127)}[pattern]
        inputs.append(np.broadcast_to(values, shape).astype(np.int8))
    check(graph, inputs, arch, isa, tmp_path)


@pytest.mark.parametrize("isa", KERNELS)
def test_layers_that_pay_take_it(isa, tmp_path):
    skip_unless_it_runs(runner.HOST, isa)
    shapes = [(1, 24, 24, 32, 32), (1, 24, 24, 24, 32), (1, 3, 3, 32, 32)]
    graph = conv_graph(shapes, "int8", largest_transformed)
    assert kernels(graph, isa, tmp_path) == [KERNELS[isa]] + [f"gemm_s8_{isa}"] * 2


@pytest.mark.parametrize("isa", KERNELS)
def test_depths_past_its_bound_are_multiplied_in_parts(isa, tmp_path):
    skip_unless_it_runs(runner.HOST, isa)
    graph = conv_graph([(1, 24, 24, 224, 32), (1, 24, 24, 240, 32)], "int8", largest_transformed)
    assert kernels(graph, isa, tmp_path) == [KERNELS[isa]] * 2
