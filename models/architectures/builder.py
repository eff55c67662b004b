"""Builds a network layer by layer; what all architectures share.

Each convolution, batch norm and activation is a node of its own, as a training framework exports them:
folding and fusing is the optimizer's work. Parameters have the names of TensorFlow-Slim, below their layer's:

    weights, depthwise_weights, biases, BatchNorm/gamma, BatchNorm/beta, BatchNorm/moving_mean,
    BatchNorm/moving_variance
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from harness.errors import FormatError
from harness.graph import Graph, Node, Tensor
from harness.ops import infer_shapes

Weights = Callable[[str, tuple[int, ...]], np.ndarray]
"""Name and shape of a parameter → its values. Convolutions are OHWI, depthwise ones 1HWC, dense (out, in)."""

INPUT, OUTPUT = "input", "probabilities"
NORM_PARTS = ("gamma", "beta", "moving_mean", "moving_variance")


def stored(arrays: Mapping[str, np.ndarray], name: str) -> Weights:
    """Weights from arrays by their names; FormatError where graph `name` needs one that is not there."""

    def weights(parameter: str, _shape: tuple[int, ...]) -> np.ndarray:
        if parameter not in arrays:
            raise FormatError(f"graph '{name}': the weights lack '{parameter}'")
        return arrays[parameter]

    return weights


class Builder:
    """A graph with one input, grown from there; methods take and return names of tensors.

    activation: op of the layers' activations. epsilon: of the batch norms. biased: whether convolutions have
    a bias of their own in front of their batch norm.
    """

    def __init__(
        self,
        name: str,
        weights: Weights,
        input_shape: tuple[int, ...],
        *,
        activation: str = "Relu",
        epsilon: float = 1e-3,
        biased: bool = False,
    ) -> None:
        self.graph = Graph(name, {INPUT: Tensor(INPUT, tuple(input_shape), np.dtype(np.float32))})
        self.graph.inputs = [INPUT]
        self.weights = weights
        self.activation = activation
        self.epsilon = epsilon
        self.biased = biased

    def shape(self, x: str) -> tuple[int, ...]:
        return self.graph.tensors[x].shape

    def const(self, name: str, shape: tuple[int, ...]) -> str:
        """A parameter, in float32; FormatError where the weights give it another shape."""
        array = np.asarray(self.weights(name, shape), np.float32)
        if array.shape != shape:
            raise FormatError(f"graph '{self.graph.name}': '{name}' has shape {array.shape}, not {shape}")
        return self.graph.add_const(name, array)

    def node(self, op: str, name: str, *inputs: str, **attrs: object) -> str:
        """Adds a node whose output tensor has the node's name, its shape inferred."""
        node = Node(op, self.graph.unique_name(name), list(inputs), [], attrs)
        node.outputs = [node.name]
        self.graph.nodes.append(node)
        self.graph.tensors[node.name] = Tensor(node.name, None, np.dtype(np.float32))
        touched = {name: self.graph.tensors[name] for name in (*node.inputs, node.name)}
        infer_shapes(Graph(self.graph.name, touched, [node]))
        return node.name

    def convolution(
        self,
        x: str,
        name: str,
        outputs: int,
        window: tuple[int, int] = (1, 1),
        stride: int = 1,
        padding: object = "SAME",
        biased: bool | None = None,
    ) -> str:
        weights = self.const(f"{name}/weights", (outputs, *window, self.shape(x)[3]))
        attrs = {"stride": (stride, stride), "padding": padding}
        return self._with_bias(self.node("Conv2D", f"{name}/Conv2D", x, weights, **attrs), name, biased)

    def depthwise(self, x: str, name: str, window: tuple[int, int] = (3, 3), stride: int = 1) -> str:
        weights = self.const(f"{name}/depthwise_weights", (1, *window, self.shape(x)[3]))
        attrs = {"stride": (stride, stride), "padding": "SAME"}
        return self._with_bias(self.node("DepthwiseConv2D", f"{name}/depthwise", x, weights, **attrs), name)

    def _with_bias(self, x: str, name: str, biased: bool | None = None) -> str:
        if not (self.biased if biased is None else biased):
            return x
        return self.node("BiasAdd", f"{name}/BiasAdd", x, self.const(f"{name}/biases", self.shape(x)[-1:]))

    def dense(self, x: str, name: str, outputs: int) -> str:
        weights = self.const(f"{name}/weights", (outputs, self.shape(x)[-1]))
        return self.node(
            "FullyConnected", f"{name}/MatMul", x, weights, self.const(f"{name}/biases", (outputs,))
        )

    def norm(self, x: str, name: str) -> str:
        parts = [self.const(f"{name}/{part}", self.shape(x)[-1:]) for part in NORM_PARTS]
        return self.node("BatchNorm", f"{name}/FusedBatchNorm", x, *parts, epsilon=self.epsilon)

    def activate(self, x: str, name: str) -> str:
        return self.node(self.activation, f"{name}/{self.activation}", x)

    def norm_activate(self, x: str, name: str) -> str:
        """What follows the layer `name`: its batch norm and its activation."""
        return self.activate(self.norm(x, f"{name}/BatchNorm"), name)

    def layer(self, x: str, name: str, *arguments: object, **options: object) -> str:
        """A convolution with the arguments of `convolution`, batch norm, activation."""
        return self.norm_activate(self.convolution(x, name, *arguments, **options), name)

    def depthwise_layer(self, x: str, name: str, *arguments: object) -> str:
        """A depthwise convolution with the arguments of `depthwise`, batch norm, activation."""
        return self.norm_activate(self.depthwise(x, name, *arguments), name)

    def classifier(self, x: str, name: str, classes: int) -> Graph:
        """The finished graph: average of all pixels, dense layer `name`, softmax to (batch, classes)."""
        _, *size, depth = self.shape(x)
        x = self.node("AveragePool2D", "AvgPool", x, filter=tuple(size), padding="VALID")
        x = self.dense(self.node("Reshape", "Flatten", x, shape=(-1, depth)), name, classes)
        return self.finish(self.node("Softmax", OUTPUT, x, beta=1.0))

    def finish(self, x: str) -> Graph:
        """The finished graph, whose output is x."""
        self.graph.outputs = [x]
        return infer_shapes(self.graph.verify())
