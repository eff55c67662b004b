"""MobileNet v2 and EfficientNet-Lite0, which stack the same block: expand, filter each channel, project.

    x ─ 1×1 expand → k×k depthwise → 1×1 project (no activation) ─ + ─    the sum where x has that shape
    └──────────────────────────────────────────────────────────────┘

M. Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", arXiv:1801.04381; M. Tan, Q. Le,
"EfficientNet", arXiv:1905.11946, in its Lite form: Relu6, no squeeze-and-excitation.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.graph import Graph
from models.architectures.builder import INPUT, Builder, Weights

# Stages of blocks: (expansion, outputs, blocks, stride of the first block, window).
MOBILENET_V2 = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 32, 3, 2, 3),
    (6, 64, 4, 2, 3),
    (6, 96, 3, 1, 3),
    (6, 160, 3, 2, 3),
    (6, 320, 1, 1, 3),
)
EFFICIENTNET_LITE0 = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def mobilenet_v2(
    weights: Weights,
    *,
    name: str = "mobilenet_v2",
    input_shape: tuple[int, ...] = (1, 224, 224, 3),
    classes: int = 1001,
) -> Graph:
    """The float graph of width 1: input "input" (NHWC), output "probabilities" (batch, classes)."""
    scope = "MobilenetV2"
    names = [f"{scope}/expanded_conv{f'_{i}' if i else ''}" for i in range(_length(MOBILENET_V2))]
    b = Builder(name, weights, input_shape, activation="Relu6")
    x = b.layer(INPUT, f"{scope}/Conv", 32, (3, 3), 2)
    x = b.layer(_blocks(b, x, MOBILENET_V2, names), f"{scope}/Conv_1", 1280)
    return b.classifier(x, f"{scope}/Logits/Conv2d_1c_1x1", classes)


def efficientnet_lite0(
    weights: Weights,
    *,
    name: str = "efficientnet_lite0",
    input_shape: tuple[int, ...] = (1, 224, 224, 3),
    classes: int = 1000,
) -> Graph:
    """The float graph: input "input" (NHWC), output "probabilities" (batch, classes)."""
    scope = "efficientnet-lite0"
    names = [f"{scope}/blocks_{i}" for i in range(_length(EFFICIENTNET_LITE0))]
    b = Builder(name, weights, input_shape, activation="Relu6")
    x = b.layer(INPUT, f"{scope}/stem", 32, (3, 3), 2)
    x = b.layer(_blocks(b, x, EFFICIENTNET_LITE0, names), f"{scope}/head", 1280)
    return b.classifier(x, f"{scope}/head/dense", classes)


def _length(stages: Sequence[tuple[int, ...]]) -> int:
    return sum(blocks for _, _, blocks, _, _ in stages)


def _blocks(b: Builder, x: str, stages: Sequence[tuple[int, ...]], names: Sequence[str]) -> str:
    left = iter(names)
    for expansion, outputs, blocks, stride, window in stages:
        for index in range(blocks):
            x = _block(b, x, next(left), expansion, outputs, stride if index == 0 else 1, window)
    return x


def _block(b: Builder, x: str, name: str, expansion: int, outputs: int, stride: int, window: int) -> str:
    y = x if expansion == 1 else b.layer(x, f"{name}/expand", expansion * b.shape(x)[3])
    y = b.depthwise_layer(y, f"{name}/depthwise", (window, window), stride)
    y = b.norm(b.convolution(y, f"{name}/project", outputs), f"{name}/project/BatchNorm")
    return b.node("Add", f"{name}/add", x, y) if b.shape(x) == b.shape(y) else y
