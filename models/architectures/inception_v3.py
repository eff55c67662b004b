"""Inception v3 (C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision",
arXiv:1512.00567), its layers named as in TensorFlow-Slim, without the auxiliary classifier.

    stem (299 → 35) → Mixed_5b–5d → Mixed_6a–6e (17) → Mixed_7a–7c (8) → average pool → Logits → softmax

With 1001 classes it has 23.9 million parameters.
"""

from __future__ import annotations

from harness.graph import Graph
from models.architectures.builder import INPUT, Builder, Weights

SCOPE = "InceptionV3"

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
    """The float graph: input "input" (NHWC), output "probabilities" (batch, classes)."""
    b = Builder(name, weights, input_shape)
    x = _branch(b, SCOPE, INPUT, STEM)
    for block, branches in BLOCKS.items():
        scope = f"{SCOPE}/{block}"
        ends = [_branch(b, f"{scope}/Branch_{i}", x, branch) for i, branch in enumerate(branches)]
        x = b.node("Concatenation", f"{scope}/concat", *ends, axis=3)
    return b.classifier(x, f"{SCOPE}/Logits/Conv2d_1c_1x1", classes)


def _branch(b: Builder, scope: str, x: str, parts: list) -> str:
    for part in parts:
        if isinstance(part, str):
            x = _pool(b, scope, x, part)
        elif isinstance(part, list):
            ends = [_layer(b, scope, x, *layer) for layer in part]
            x = b.node("Concatenation", f"{scope}/concat", *ends, axis=3)
        else:
            x = _layer(b, scope, x, *part)
    return x


def _pool(b: Builder, scope: str, x: str, kind: str) -> str:
    """3×3: the maximum at every other pixel, or the average at every one."""
    if kind == "max":
        attrs = {"filter": (3, 3), "stride": (2, 2), "padding": "VALID"}
        return b.node("MaxPool2D", f"{scope}/MaxPool_1a_3x3", x, **attrs)
    attrs = {"filter": (3, 3), "stride": (1, 1), "padding": "SAME"}
    return b.node("AveragePool2D", f"{scope}/AvgPool_0a_3x3", x, **attrs)


def _layer(
    b: Builder,
    scope: str,
    x: str,
    name: str,
    outputs: int,
    window: tuple[int, int],
    stride: int = 1,
    padding: str = "SAME",
) -> str:
    return b.layer(x, f"{scope}/{name}", outputs, window, stride, "VALID" if stride == 2 else padding)
