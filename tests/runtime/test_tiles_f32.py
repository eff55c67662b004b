"""float32 kernels where tiles, rows of windows and filter rows end: the bits of the reference loops."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from harness.graph import Graph, Node, Tensor
from harness.ops import infer_shapes
from tests.support import runner
from tests.support.linear_checks import VARIANTS, skip_unless_it_runs
from tests.support.linear_graphs import ACTIVATIONS, F32, random_inputs

KERNELS = [(arch, isa) for arch, isa in VARIANTS if isa in ("avx2", "avx512", "neon")]


def matrices() -> Iterator[tuple]:
    """Every number of rows and of columns to 33, 2×2 filters among them, depths about a step of four."""
    for index in range(1, 34):
        depth, side, columns = (1, 2, 3, 4, 5, 8, 11, 16, 21)[index % 9], 1 if index % 3 else 2, 34 - index
        yield "Conv2D", (1, 1, index, depth), (columns, side, side, depth), 1


def first_layers() -> Iterator[tuple]:
    """Few channels, whose filter rows are read in the image, or copied at its edges."""
    for channels in (1, 2, 3):
        for side, stride, width in ((3, 1, 4), (3, 2, 9), (3, 2, 10), (5, 3, 23), (7, 2, 22)):
            yield "Conv2D", (2, side + channels, width, channels), (18, side, side, channels), stride


def depthwise() -> Iterator[tuple]:
    """3×3 filters over rows of one to nine windows."""
    for width in range(1, 10):
        for stride in (1, 2):
            channels = (8, 11, 16, 37)[width % 4]
            yield "DepthwiseConv2D", (1, 3, width * stride, channels), (1, 3, 3, channels), stride


def graph_of(layers: Iterator[tuple]) -> Graph:
    rng, graph = np.random.default_rng(8), Graph("tiles")
    for index, (op, shape, weights_shape, stride) in enumerate(layers):
        x, y = f"x{index}", f"y{index}"
        graph.tensors |= {x: Tensor(x, shape, F32), y: Tensor(y, None, F32)}
        channels = weights_shape[3 if op == "DepthwiseConv2D" else 0]
        weights = graph.add_const(f"w{index}", rng.normal(0, 0.5, weights_shape).astype(np.float32))
        bias = graph.add_const(f"b{index}", rng.normal(0, 1, channels).astype(np.float32))
        attrs = {"stride": (stride, stride), "padding": "SAME", "activation": ACTIVATIONS[index % 4]}
        if op == "DepthwiseConv2D":
            attrs["multiplier"] = 1
        graph.nodes.append(Node(op, f"node{index}", [x, weights, bias], [y], attrs))
        graph.inputs.append(x)
        graph.outputs.append(y)
    return infer_shapes(graph.verify())


@pytest.mark.parametrize("layers", [matrices, first_layers, depthwise])
@pytest.mark.parametrize(("arch", "isa"), KERNELS)
def test_ends_equal_the_reference_loops(layers, arch, isa, tmp_path):
    skip_unless_it_runs(arch, isa)
    graph = graph_of(layers())
    inputs = random_inputs(graph, seed=9)
    expected = runner.predict(graph, inputs, tmp_path, isa="scalar")
    actual = runner.predict(graph, inputs, tmp_path, arch=arch, isa=isa)
    for node, ours, reference in zip(graph.nodes, actual, expected, strict=True):
        assert ours.tobytes() == reference.tobytes(), node
