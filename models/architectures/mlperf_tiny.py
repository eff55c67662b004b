"""The networks of MLPerf Tiny that have no other home (C. Banbury et al., "MLPerf Tiny Benchmark", NeurIPS
2021 Datasets and Benchmarks), as its Keras scripts build them: convolutions have a bias and a batch norm.
"""

from __future__ import annotations

from harness.graph import Graph
from models.architectures.builder import INPUT, Builder, Weights

EPSILON = 1e-3  # Keras's
DENSE = (128, 128, 128, 128, 8, 128, 128, 128, 128)  # of the auto-encoder, between its input and its output


def ds_cnn(weights: Weights, *, name: str, input_shape: tuple[int, ...], classes: int) -> Graph:
    """Keyword spotting: a 10×4 convolution, 4 × (depthwise → pointwise), all of 64 channels.

    Input "input" of `input_shape` (NHWC), output "probabilities" (batch, classes).
    """
    b = Builder(name, weights, input_shape, epsilon=EPSILON, biased=True)
    x = b.layer(INPUT, "conv", 64, (10, 4), 2)
    for index in range(1, 5):
        x = b.depthwise_layer(x, f"depthwise_{index}")
        x = b.layer(x, f"pointwise_{index}", 64)
    return b.classifier(x, "dense", classes)


def resnet_8(weights: Weights, *, name: str, input_shape: tuple[int, ...], classes: int) -> Graph:
    """CIFAR-10: a convolution and three residual blocks of two convolutions, with 16, 32 and 64 channels.

    Input "input" of `input_shape` (NHWC), output "probabilities" (batch, classes).
    """
    b = Builder(name, weights, input_shape, epsilon=EPSILON, biased=True)
    x = b.layer(INPUT, "conv", 16, (3, 3))
    for index, (depth, stride) in enumerate(((16, 1), (32, 2), (64, 2)), 1):
        scope = f"block_{index}"
        y = b.layer(x, f"{scope}/conv_1", depth, (3, 3), stride)
        y = b.norm(b.convolution(y, f"{scope}/conv_2", depth, (3, 3)), f"{scope}/conv_2/BatchNorm")
        x = x if stride == 1 else b.convolution(x, f"{scope}/shortcut", depth, stride=stride)
        x = b.activate(b.node("Add", f"{scope}/add", x, y), scope)
    return b.classifier(x, "dense", classes)


def auto_encoder(weights: Weights, *, name: str, input_shape: tuple[int, ...]) -> Graph:
    """Anomaly detection: dense layers down to 8 values and up again; the output has the input's shape.

    Input "input" of `input_shape` (batch, features), output "reconstruction/MatMul".
    """
    b = Builder(name, weights, input_shape, epsilon=EPSILON)
    x = INPUT
    for index, depth in enumerate(DENSE, 1):
        x = b.norm_activate(b.dense(x, f"dense_{index}", depth), f"dense_{index}")
    return b.finish(b.dense(x, "reconstruction", input_shape[1]))
