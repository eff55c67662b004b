"""MobileNet v1 (A. Howard et al., "MobileNets", arXiv:1704.04861), its layers named as in TensorFlow-Slim.

Conv2d_0 → 13 × (Conv2d_i_depthwise → Conv2d_i_pointwise) → average pool → Logits → softmax
"""

from __future__ import annotations

from harness.graph import Graph
from models.architectures.builder import INPUT, Builder, Weights

BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
EPSILON = 1e-3
SCOPE = "MobilenetV1"
LOGITS = f"{SCOPE}/Logits/Conv2d_1c_1x1"


def channels(full: int, width: float) -> int:
    """Channels of a layer that has `full` at width 1; at least 8, as in TensorFlow-Slim."""
    return max(int(full * width), 8)


def mobilenet_v1(
    weights: Weights,
    *,
    name: str,
    input_shape: tuple[int, ...],
    classes: int,
    width: float = 1.0,
    activation: str = "Relu6",
) -> Graph:
    """The float graph: input "input" of `input_shape` (NHWC), output "probabilities" (batch, classes)."""
    b = Builder(name, weights, input_shape, activation=activation, epsilon=EPSILON)
    x = b.layer(INPUT, f"{SCOPE}/Conv2d_0", channels(32, width), (3, 3), 2)
    for index, (outputs, stride) in enumerate(BLOCKS, 1):
        x = b.depthwise_layer(x, f"{SCOPE}/Conv2d_{index}_depthwise", (3, 3), stride)
        x = b.layer(x, f"{SCOPE}/Conv2d_{index}_pointwise", channels(outputs, width))
    return b.classifier(x, LOGITS, classes)
