"""Inception v3 (C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision",
arXiv:1512.00567), its layers named as in TensorFlow-Slim, without the auxiliary classifier.

    stem (299 → 35) → Mixed_5b–5d → Mixed_6a–6e (17) → Mixed_7a–7c (8) → average pool → Logits → softmax

Each convolution has no bias and is followed by a BatchNorm and a Relu node of its own, as a training
framework exports them. With 1001 classes it has 23.9 million parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from harness.errors import FormatError
from harness.graph import Graph, Node, Tensor
from harness.ops import infer_shapes

EPSILON = 1e-3  # TensorFlow-Slim's

Weights = Callable[[str, tuple[int, ...]], np.ndarray]
"""Name and shape of a parameter → its float32 values. Convolutions are OHWI."""

# A layer: (name, outputs, (height, width)[, stride]); stride 2 is VALID, stride 1 is SAME. A branch is
# a list of layers, of "max" or "avg" pools of 3×3, and of pairs of layers whose results are joined.
_1X1, _3X3, _5X5, _1X7, _7X1, _1X3, _3X1 = (1, 1), (3, 3), (5, 5), (1, 7), (7, 1), (1, 3), (3, 1)

STEM = [
    ("Conv2d_1a_3x3", 32, _3X3, 2),
    ("Conv2d_2a_3x3", 32, _3X3, 1, "VALID"),
    ("Conv2d_2b_3x3", 64, _3X3),
    "max",
    ("Conv2d_3b_1x1", 80, _1X1),
    ("Conv2d_4a_3x3", 192, _3X3, 1, "VALID"),
    "max",
]


def _mixed_5(pool: int) -> list[list]:
    return [
        [("Conv2d_0a_1x1", 64, _1X1)],
        [("Conv2d_0a_1x1", 48, _1X1), ("Conv2d_0b_5x5", 64, _5X5)],
        [("Conv2d_0a_1x1", 64, _1X1), ("Conv2d_0b_3x3", 96, _3X3), ("Conv2d_0c_3x3", 96, _3X3)],
        ["avg", ("Conv2d_0b_1x1", pool, _1X1)],
    ]


def _mixed_6(depth: int) -> list[list]:
    return [
        [("Conv2d_0a_1x1", 192, _1X1)],
        [("Conv2d_0a_1x1", depth, _1X1), ("Conv2d_0b_1x7", depth, _1X7), ("Conv2d_0c_7x1", 192, _7X1)],
        [
            ("Conv2d_0a_1x1", depth, _1X1),
            ("Conv2d_0b_7x1", depth, _7X1),
            ("Conv2d_0c_1x7", depth, _1X7),
            ("Conv2d_0d_7x1", depth, _7X1),
            ("Conv2d_0e_1x7", 192, _1X7),
        ],
        ["avg", ("Conv2d_0b_1x1", 192, _1X1)],
    ]


def _mixed_7() -> list[list]:
    return [
        [("Conv2d_0a_1x1", 320, _1X1)],
        [("Conv2d_0a_1x1", 384, _1X1), [("Conv2d_0b_1x3", 384, _1X3), ("Conv2d_0b_3x1", 384, _3X1)]],
        [
            ("Conv2d_0a_1x1", 448, _1X1),
            ("Conv2d_0b_3x3", 384, _3X3),
            [("Conv2d_0c_1x3", 384, _1X3), ("Conv2d_0d_3x1", 384, _3X1)],
        ],
        ["avg", ("Conv2d_0b_1x1", 192, _1X1)],
    ]


BLOCKS = {
    "Mixed_5b": _mixed_5(32),
    "Mixed_5c": _mixed_5(64),
    "Mixed_5d": _mixed_5(64),
    "Mixed_6a": [
        [("Conv2d_1a_1x1", 384, _3X3, 2)],
        [("Conv2d_0a_1x1", 64, _1X1), ("Conv2d_0b_3x3", 96, _3X3), ("Conv2d_1a_1x1", 96, _3X3, 2)],
        ["max"],
    ],
    "Mixed_6b": _mixed_6(128),
    "Mixed_6c": _mixed_6(160),
    "Mixed_6d": _mixed_6(160),
    "Mixed_6e": _mixed_6(192),
    "Mixed_7a": [
        [("Conv2d_0a_1x1", 192, _1X1), ("Conv2d_1a_3x3", 320, _3X3, 2)],
        [
            ("Conv2d_0a_1x1", 192, _1X1),
            ("Conv2d_0b_1x7", 192, _1X7),
            ("Conv2d_0c_7x1", 192, _7X1),
            ("Conv2d_1a_3x3", 192, _3X3, 2),
        ],
        ["max"],
    ],
    "Mixed_7b": _mixed_7(),
    "Mixed_7c": _mixed_7(),
}


def inception_v3(
    weights: Weights,
    *,
    name: str = "inception_v3",
    input_shape: tuple[int, ...] = (1, 299, 299, 3),
    classes: int = 1001,
) -> Graph:
    """The float graph: input "input" (NHWC), output "InceptionV3/Predictions/Softmax" (batch, classes).

    weights is asked for LAYER/weights, LAYER/BatchNorm/gamma, beta, moving_mean and moving_variance, and
    Logits/Conv2d_1c_1x1/weights and biases. Raises FormatError where it gives another shape.
    """
    builder = _Builder(Graph(name), weights)
    builder.graph.tensors["input"] = Tensor("input", tuple(input_shape), np.dtype(np.float32))
    builder.graph.inputs = ["input"]
    x = builder.branch("InceptionV3", "input", STEM)
    for block, branches in BLOCKS.items():
        scope = f"InceptionV3/{block}"
        ends = [builder.branch(f"{scope}/Branch_{i}", x, branch) for i, branch in enumerate(branches)]
        x = builder.node("Concatenation", f"{scope}/concat", ends, axis=3)
    builder.head(x, classes)
    return infer_shapes(builder.graph.verify())


def seeded(seed: int = 0) -> Weights:
    """Random parameters that keep activations near unit variance: convolutions by He et al. 2015, and batch
    norm statistics around those that they then have."""
    rng = np.random.default_rng(seed)

    def weights(name: str, shape: tuple[int, ...]) -> np.ndarray:
        values = rng.standard_normal(shape, np.float32)
        part = name.rsplit("/", 1)[-1]
        if part == "weights":
            return values * np.float32(math.sqrt(2 / math.prod(shape[1:])))
        if part in ("gamma", "moving_variance"):
            return 1 + np.float32(0.1) * np.tanh(values)
        return np.float32(0.1) * values

    return weights


class _Builder:
    def __init__(self, graph: Graph, weights: Weights) -> None:
        self.graph = graph
        self.weights = weights

    def const(self, name: str, shape: tuple[int, ...]) -> str:
        array = np.asarray(self.weights(name, shape), np.float32)
        if array.shape != shape:
            raise FormatError(f"graph '{self.graph.name}': '{name}' has shape {array.shape}, not {shape}")
        return self.graph.add_const(name, array)

    def node(self, op: str, name: str, inputs: list[str], **attrs: object) -> str:
        """Adds a node whose output tensor has the node's name, its shape inferred."""
        node = Node(op, self.graph.unique_name(name), list(inputs), [], attrs)
        node.outputs = [node.name]
        self.graph.nodes.append(node)
        self.graph.tensors[node.name] = Tensor(node.name, None, np.dtype(np.float32))
        touched = {name: self.graph.tensors[name] for name in (*node.inputs, node.name)}
        infer_shapes(Graph(self.graph.name, touched, [node]))
        return node.name

    def branch(self, scope: str, x: str, parts: list) -> str:
        for part in parts:
            if isinstance(part, str):
                x = self.pool(scope, x, part)
            elif isinstance(part, list):
                x = self.node(
                    "Concatenation", f"{scope}/concat", [self.layer(scope, x, *p) for p in part], axis=3
                )
            else:
                x = self.layer(scope, x, *part)
        return x

    def pool(self, scope: str, x: str, kind: str) -> str:
        """3×3: the maximum at every other pixel, or the average at every one."""
        if kind == "max":
            attrs = {"filter": (3, 3), "stride": (2, 2), "padding": "VALID"}
            return self.node("MaxPool2D", f"{scope}/MaxPool_1a_3x3", [x], **attrs)
        attrs = {"filter": (3, 3), "stride": (1, 1), "padding": "SAME"}
        return self.node("AveragePool2D", f"{scope}/AvgPool_0a_3x3", [x], **attrs)

    def layer(
        self,
        scope: str,
        x: str,
        name: str,
        outputs: int,
        window: tuple[int, int],
        stride: int = 1,
        padding: str = "SAME",
    ) -> str:
        """Convolution, batch norm, Relu."""
        name = f"{scope}/{name}"
        weights = self.const(f"{name}/weights", (outputs, *window, self.graph.tensors[x].shape[3]))
        attrs = {"stride": (stride, stride), "padding": "VALID" if stride == 2 else padding}
        x = self.node("Conv2D", f"{name}/Conv2D", [x, weights], **attrs)
        parts = ("gamma", "beta", "moving_mean", "moving_variance")
        constants = [self.const(f"{name}/BatchNorm/{part}", (outputs,)) for part in parts]
        x = self.node("BatchNorm", f"{name}/BatchNorm/FusedBatchNorm", [x, *constants], epsilon=EPSILON)
        return self.node("Relu", f"{name}/Relu", [x])

    def head(self, x: str, classes: int) -> None:
        scope = "InceptionV3/Logits"
        _, *size, depth = self.graph.tensors[x].shape
        x = self.node("AveragePool2D", f"{scope}/AvgPool_1a_8x8", [x], filter=tuple(size), padding="VALID")
        weights = self.const(f"{scope}/Conv2d_1c_1x1/weights", (classes, 1, 1, depth))
        bias = self.const(f"{scope}/Conv2d_1c_1x1/biases", (classes,))
        x = self.node("Conv2D", f"{scope}/Conv2d_1c_1x1/Conv2D", [x, weights])
        x = self.node("BiasAdd", f"{scope}/Conv2d_1c_1x1/BiasAdd", [x, bias])
        x = self.node("Squeeze", f"{scope}/SpatialSqueeze", [x], axes=(1, 2))
        self.graph.outputs = [self.node("Softmax", "InceptionV3/Predictions/Softmax", [x], beta=1.0)]
