"""MobileNet v1 (A. Howard et al., "MobileNets", arXiv:1704.04861), its layers named as in TensorFlow-Slim.

    Conv2d_0 → 13 × (Conv2d_i_depthwise → Conv2d_i_pointwise) → average pool → Logits → softmax

Each convolution is followed by a BatchNorm and a Relu6 node of its own, as a training framework exports
them: folding and fusing is the optimizer's work.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.errors import FormatError
from harness.graph import Graph, Node, Tensor
from harness.ops import infer_shapes

BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
EPSILON = 1e-3


def channels(full: int, width: float) -> int:
    """Channels of a layer that has `full` at width 1; at least 8, as in TensorFlow-Slim."""
    return max(int(full * width), 8)


def mobilenet_v1(
    weights: Mapping[str, np.ndarray], *, name: str, width: float, input_shape: tuple[int, ...], classes: int
) -> Graph:
    """The float graph: input "input" of `input_shape` (NHWC), output "probabilities" (batch, classes).

    weights: per layer "LAYER/weights" (OHWI; depthwise 1HWC), "LAYER/gamma", "/beta", "/mean", "/variance";
    "Logits/weights" (classes, features) and "Logits/bias". float16 is widened. Raises FormatError naming an
    array missing or misshapen.
    """
    builder = _Builder(weights, Graph(name))
    builder.graph.tensors["input"] = Tensor("input", tuple(input_shape), np.dtype(np.float32))
    builder.graph.inputs = ["input"]
    depth = channels(32, width)
    x = builder.layer("Conv2D", "Conv2d_0", "input", (depth, 3, 3, input_shape[-1]), 2)
    for index, (outputs, stride) in enumerate(BLOCKS, 1):
        x = builder.layer("DepthwiseConv2D", f"Conv2d_{index}_depthwise", x, (1, 3, 3, depth), stride)
        outputs = channels(outputs, width)
        x = builder.layer("Conv2D", f"Conv2d_{index}_pointwise", x, (outputs, 1, 1, depth), 1)
        depth = outputs
    builder.head(x, depth, classes, input_shape)
    return builder.graph.verify()


class _Builder:
    def __init__(self, weights: Mapping[str, np.ndarray], graph: Graph) -> None:
        self.weights = weights
        self.graph = graph

    def const(self, name: str, shape: tuple[int, ...]) -> str:
        if name not in self.weights:
            raise FormatError(f"graph '{self.graph.name}': the weights lack '{name}'")
        array = np.asarray(self.weights[name], np.float32)
        if array.shape != shape:
            raise FormatError(f"graph '{self.graph.name}': '{name}' has shape {array.shape}, not {shape}")
        return self.graph.add_const(name, array)

    def node(self, op: str, name: str, inputs: list[str], **attrs: object) -> str:
        """Adds a node whose output tensor has the node's name."""
        self.graph.nodes.append(Node(op, name, inputs, [name], attrs))
        self.graph.tensors[name] = Tensor(name, None, np.dtype(np.float32))
        return name

    def layer(self, op: str, name: str, x: str, shape: tuple[int, ...], stride: int) -> str:
        """Convolution, batch norm, Relu6."""
        weights = self.const(f"{name}/weights", shape)
        attrs = {"stride": (stride, stride), "padding": "SAME", "dilation": (1, 1)}
        if op == "DepthwiseConv2D":
            attrs["multiplier"] = 1
        x = self.node(op, f"{name}/convolution", [x, weights], **attrs)
        width = (shape[-1] if op == "DepthwiseConv2D" else shape[0],)
        constants = [self.const(f"{name}/{part}", width) for part in ("gamma", "beta", "mean", "variance")]
        x = self.node("BatchNorm", f"{name}/norm", [x, *constants], epsilon=EPSILON)
        return self.node("Relu6", f"{name}/relu6", [x])

    def head(self, x: str, depth: int, classes: int, input_shape: tuple[int, ...]) -> None:
        strides = 2 * int(np.prod([stride for _, stride in BLOCKS]))
        filter_ = tuple(-(-length // strides) for length in input_shape[1:3])
        x = self.node("AveragePool2D", "AvgPool", [x], filter=filter_, stride=(1, 1), padding="VALID")
        x = self.node("Reshape", "Flatten", [x], shape=(-1, depth))
        weights, bias = self.const("Logits/weights", (classes, depth)), self.const("Logits/bias", (classes,))
        x = self.node("FullyConnected", "Logits", [x, weights, bias])
        self.graph.outputs = [self.node("Softmax", "probabilities", [x], beta=1.0)]
        infer_shapes(self.graph)
