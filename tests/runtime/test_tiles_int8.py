"""int8 and hybrid kernels where tiles and blocks of channels end: the bytes of the reference loops."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from harness.graph import Graph, Node, Quantization, Tensor
from harness.ops import infer_shapes
from tests.support import runner
from tests.support.linear_checks import VARIANTS, skip_unless_it_runs
from tests.support.linear_graphs import F32, S8, random_inputs

ACTIVATIONS = (None, "relu")
ZERO = -128  # of outputs: with it ReLU has no bound but the saturation's


def matrices() -> Iterator[tuple]:
    """1×1 and 3×3 convolutions of every number of rows and columns to 33, depths about a line of 64."""
    rng = np.random.default_rng(5)
    depths = (1, 3, 4, 61, 64, 67, 128, 130)
    for index in range(1, 34):
        depth, side = depths[index % len(depths)], 1 if index % 3 else 3
        columns = 34 - index if index % 2 else int(rng.integers(33, 100))
        yield "Conv2D", (1, 1, index, depth), (columns, side, side, depth), {"stride": (1, 1)}
    for channels in (3, 16, 24, 32, 48, 65):
        yield "Conv2D", (1, 15, 13, channels), (40, 3, 3, channels), {"stride": (1 + channels % 2, 2)}
    for side, channels in ((1, 515), (1, 1540), (3, 180), (5, 48), (7, 31)):  # whose depths come in parts
        yield "Conv2D", (1, 5, 7, channels), (18, side, side, channels), {"stride": (1, 1)}


def depthwise() -> Iterator[tuple]:
    """3×3 filters over every way in which blocks of 32 channels and rows of pixels end."""
    for index, channels in enumerate((16, 31, 32, 33, 63, 64, 65, 95, 96, 97, 130, 160)):
        for stride, width in ((1, 1), (1, 2), (1, 37), (2, 3), (2, 66), (2, 70)):
            shape, attrs = (1, 3 + index % 2, width, channels), {"stride": (stride, stride), "multiplier": 1}
            yield "DepthwiseConv2D", shape, (1, 3, 3, channels), attrs


def graph_of(layers: Iterator[tuple], arithmetic: str) -> Graph:
    rng, graph = np.random.default_rng(8), Graph("tiles")
    for index, (op, shape, weights_shape, attrs) in enumerate(layers):
        axis = 3 if op == "DepthwiseConv2D" else 0
        channels, names = weights_shape[axis], (f"x{index}", f"y{index}")
        depth = np.prod(weights_shape) // channels
        zeros = (int(rng.integers(-128, 128)), ZERO if index % 4 else 3)
        quants = (Quantization(0.05, zeros[0]), Quantization(0.06 * depth**0.5, zeros[1]))
        for name, quant, size in zip(names, quants, (shape, None), strict=True):
            dtype = S8 if arithmetic == "int8" else F32
            graph.tensors[name] = Tensor(name, size, dtype, None, quant if dtype == S8 else None)
        scales = Quantization(rng.uniform(0.01, 0.02, channels).astype(np.float32), np.zeros(channels), axis)
        weights = graph.add_const(f"w{index}", rng.integers(-127, 128, weights_shape, np.int8), scales)
        attrs = attrs | {"padding": "SAME", "activation": ACTIVATIONS[index % 2]}
        graph.nodes.append(Node(op, f"node{index}", [names[0], weights], [names[1]], attrs))
        graph.inputs.append(names[0])
        graph.outputs.append(names[1])
    return infer_shapes(graph.verify())


@pytest.mark.parametrize("layers", [matrices, depthwise])
@pytest.mark.parametrize("arithmetic", ["int8", "hybrid"])
@pytest.mark.parametrize(("arch", "isa"), VARIANTS)
def test_ends_equal_the_reference_loops(layers, arithmetic, arch, isa, tmp_path):
    skip_unless_it_runs(arch, isa)
    graph = graph_of(layers(), arithmetic)
    inputs = random_inputs(graph, seed=9)
    expected = runner.predict(graph, inputs, tmp_path, isa="scalar")
    actual = runner.predict(graph, inputs, tmp_path, arch=arch, isa=isa)
    for node, ours, reference in zip(graph.nodes, actual, expected, strict=True):
        assert ours.tobytes() == reference.tobytes(), node
        assert len(np.unique(reference)) > min(20, reference.size // 12)
