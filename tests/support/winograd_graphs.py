"""Graphs of 3×3 convolutions that minimal filtering can compute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.graph import Graph, Node, Quantization, Tensor
from harness.ops import infer_shapes
from tests.support.linear_graphs import ACTIVATIONS, F32, S8

PADDINGS = ("SAME", "VALID", ((2, 1), (0, 3)))
SHAPES = [
    (batch, height, width, channels, outputs)
    for batch, height, width in ((1, 12, 9), (2, 7, 8), (1, 23, 6), (3, 5, 5), (1, 35, 35))
    for channels, outputs in ((32, 16), (48, 33), (64, 40), (80, 21))
]


def conv_graph(
    shapes: list[tuple[int, int, int, int, int]], arithmetic: str, draw: Callable[..., np.ndarray]
) -> Graph:
    """A 3×3 convolution for each (batch, height, width, channels, outputs). draw: weights of a shape."""
    rng = np.random.default_rng(3)
    graph = Graph("winograd")
    for i, (batch, height, width, channels, outputs) in enumerate(shapes):
        x, y, shape = f"x{i}", f"y{i}", (outputs, 3, 3, channels)
        int8 = arithmetic == "int8"
        quants = [
            Quantization(scale, int(rng.integers(-128, 128))) if int8 else None for scale in (0.05, 2.0)
        ]
        graph.tensors[x] = Tensor(x, (batch, height, width, channels), S8 if int8 else F32, None, quants[0])
        graph.tensors[y] = Tensor(y, None, S8 if int8 else F32, None, quants[1])
        scales = Quantization(rng.uniform(0.002, 0.02, outputs).astype(np.float32), np.zeros(outputs), 0)
        weights = graph.add_const(f"w{i}", draw(rng, shape).astype(np.int8), scales)
        attrs = {"padding": PADDINGS[i % 3], "activation": ACTIVATIONS[i % 4]}
        graph.nodes.append(Node("Conv2D", f"conv{i}", [x, weights], [y], attrs))
        graph.inputs.append(x)
        graph.outputs.append(y)
    return infer_shapes(graph.verify())


def random_weights(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(-128, 128, shape)


def largest_transformed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Filters that the transform makes as large as it can: all of one sign, or signs by turns."""
    turns = np.array([[1, -1, 1], [-1, 1, -1], [1, -1, 1]])[None, :, :, None]
    return np.where(np.arange(shape[0])[:, None, None, None] % 2 == 0, 127, 127 * turns) * np.ones(shape)
