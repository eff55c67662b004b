"""ResNet v2 101 (K. He et al., "Identity Mappings in Deep Residual Networks", arXiv:1603.05027), as in
TensorFlow-Slim.

    conv1 7×7/2 → max pool → 3 + 4 + 23 + 3 units → postnorm → average pool → logits → softmax

Batch norm and Relu come before the convolutions of a unit. Slim halves the size in the last unit of a block,
and its convolutions that no batch norm follows have a bias.
"""

from __future__ import annotations

from harness.graph import Graph
from models.architectures.builder import INPUT, Builder, Weights

BLOCKS = ((64, 3, 2), (128, 4, 2), (256, 23, 2), (512, 3, 1))  # channels inside, units, stride of the last
WIDENING = 4  # channels of a unit's output / those inside
EPSILON = 1e-5
SCOPE = "resnet_v2_101"


def resnet_v2_101(
    weights: Weights,
    *,
    name: str = "resnet_v2_101",
    input_shape: tuple[int, ...] = (1, 299, 299, 3),
    classes: int = 1001,
) -> Graph:
    """The float graph: input "input" (NHWC), output "probabilities" (batch, classes)."""
    b = Builder(name, weights, input_shape, epsilon=EPSILON)
    x = _convolution(b, INPUT, f"{SCOPE}/conv1", 64, 7, 2, biased=True)
    x = b.node("MaxPool2D", f"{SCOPE}/pool1/MaxPool", x, filter=(3, 3), stride=(2, 2), padding="SAME")
    for block, (depth, units, last) in enumerate(BLOCKS, 1):
        for unit in range(1, units + 1):
            scope = f"{SCOPE}/block{block}/unit_{unit}/bottleneck_v2"
            x = _unit(b, x, scope, depth, last if unit == units else 1)
    x = b.activate(b.norm(x, f"{SCOPE}/postnorm"), f"{SCOPE}/postnorm")
    return b.classifier(x, f"{SCOPE}/logits", classes)


def _unit(b: Builder, x: str, scope: str, depth: int, stride: int) -> str:
    outputs = WIDENING * depth
    before = b.activate(b.norm(x, f"{scope}/preact"), f"{scope}/preact")
    if b.shape(x)[3] != outputs:
        shortcut = b.convolution(before, f"{scope}/shortcut", outputs, stride=stride, biased=True)
    elif stride == 1:
        shortcut = x
    else:
        attrs = {"filter": (1, 1), "stride": (stride, stride), "padding": "VALID"}
        shortcut = b.node("MaxPool2D", f"{scope}/shortcut/MaxPool", x, **attrs)
    y = b.layer(before, f"{scope}/conv1", depth)
    y = b.norm_activate(_convolution(b, y, f"{scope}/conv2", depth, 3, stride), f"{scope}/conv2")
    y = b.convolution(y, f"{scope}/conv3", outputs, biased=True)
    return b.node("Add", f"{scope}/add", shortcut, y)


def _convolution(
    b: Builder, x: str, name: str, outputs: int, window: int, stride: int, biased: bool = False
) -> str:
    """Padded alike for every input size (Slim's conv2d_same), where SAME shifts a strided one's pixels."""
    before, after = (window - 1) // 2, window // 2
    padding = "SAME" if stride == 1 else ((before, after), (before, after))
    return b.convolution(x, name, outputs, (window, window), stride, padding, biased)
