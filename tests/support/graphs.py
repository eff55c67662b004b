"""Small graphs for tests."""

from __future__ import annotations

import numpy as np

from harness.graph import Graph, Node, Tensor
from harness.ops import infer_shapes

F32 = np.dtype(np.float32)


class Builder:
    """Builds a graph node by node: `b = Builder(); x = b.input((1, 8, 8, 3)); y = b.node("Relu", x)`."""

    def __init__(self, name: str = "test") -> None:
        self.graph = Graph(name)

    def input(self, shape: tuple[int, ...], name: str = "x") -> str:
        self.graph.tensors[name] = Tensor(name, shape, F32)
        self.graph.inputs.append(name)
        return name

    def const(self, values, name: str = "c") -> str:
        values = np.asarray(values)
        return self.graph.add_const(name, values.astype(np.float32) if values.dtype == np.float64 else values)

    def node(self, op: str, *inputs: str, name: str | None = None, **attrs) -> str:
        """Adds a node with one output and returns the output's name."""
        name = self.graph.unique_name(name or op.lower())
        out = self.graph.unique_name(f"{name}:0")
        self.graph.tensors[out] = Tensor(out, None, F32)
        self.graph.nodes.append(Node(op, name, list(inputs), [out], attrs))
        return out

    def build(self, *outputs: str) -> Graph:
        """The verified graph with inferred shapes."""
        self.graph.outputs = list(outputs)
        return infer_shapes(self.graph.verify())


def small_network(seed: int = 0, channels: int = 3) -> Graph:
    """Conv → depthwise → pointwise → pool → fully connected → softmax on 1×9×9×channels, biases and relu6."""
    rng = np.random.default_rng(seed)
    b = Builder("small")
    x = b.input((1, 9, 9, channels))
    relu6 = {"activation": "relu6", "padding": "SAME"}
    w1, b1 = b.const(rng.normal(0, 0.4, (8, 3, 3, channels)), "w1"), b.const(rng.normal(size=8), "b1")
    x = b.node("Conv2D", x, w1, b1, stride=(2, 2), **relu6)
    w2, b2 = b.const(rng.normal(0, 0.4, (1, 3, 3, 8)), "w2"), b.const(rng.normal(size=8), "b2")
    x = b.node("DepthwiseConv2D", x, w2, b2, **relu6)
    w3, b3 = b.const(rng.normal(0, 0.4, (12, 1, 1, 8)), "w3"), b.const(rng.normal(size=12), "b3")
    x = b.node("Conv2D", x, w3, b3, **relu6)
    x = b.node("AveragePool2D", x, filter=(5, 5))
    x = b.node("Reshape", x, shape=(1, 12))
    w4, b4 = b.const(rng.normal(0, 0.4, (5, 12)), "w4"), b.const(rng.normal(size=5), "b4")
    x = b.node("FullyConnected", x, w4, b4)
    return b.build(b.node("Softmax", x))
