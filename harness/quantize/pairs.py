"""Layers that stand next to each other, and the channels between them.

writer ── Relu, pools, padding with zeros … ── reader (one or several)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.graph import OPTIONAL, Graph, Node, Tensor
from harness.quantize.weights import CHANNEL_AXIS

WEIGHTED = ("Conv2D", "DepthwiseConv2D", "FullyConnected")
LIMITS = {None: np.inf, "relu": np.inf, "relu6": 6.0}


@dataclass(frozen=True)
class Pair:
    """Everything between is positively homogeneous, f(sx) = s f(x) for s > 0, and keeps channels apart.

    tensor: what the writer writes. limit: that its activation cuts it off at. padded: zeros are added on the
    way to a reader or by it.
    """

    writer: Node
    readers: tuple[Node, ...]
    tensor: str
    limit: float
    padded: bool


def pairs(graph: Graph) -> list[Pair]:
    """In execution order. Tensors whose name or values the outside sees stand in none."""
    consumers = graph.consumers()
    found = []
    for node in graph.execution_order():
        tensor = node.outputs[0]
        weights = graph.const(node.inputs[1]) if node.op in WEIGHTED else None
        if weights is None or node.attrs.get("activation") not in LIMITS:
            continue
        channels = weights.shape[CHANNEL_AXIS[node.op]]
        ways = _Ways(graph, consumers, channels)
        readers = ways.readers(tensor)
        limit = LIMITS[node.attrs.get("activation")]
        if readers:
            found.append(Pair(node, tuple(readers), tensor, limit, ways.padded))
    return found


class _Ways:
    """The ways from one tensor to weighted layers."""

    def __init__(self, graph: Graph, consumers: dict[str, list[Node]], channels: int) -> None:
        self.graph, self.consumers, self.channels = graph, consumers, channels
        self.padded = False

    def readers(self, tensor: str) -> list[Node] | None:
        """The weighted layers at the ends; None where a way ends in anything else."""
        if tensor in self.graph.outputs or not self.consumers[tensor]:
            return None
        found: list[Node] = []
        for node in self.consumers[tensor]:
            ends = [node] if self._reads(node, tensor) else self._beyond(node, tensor)
            if ends is None:
                return None
            found += ends
        return found

    def _reads(self, node: Node, tensor: str) -> bool:
        weights = self.graph.const(node.inputs[1]) if node.op in WEIGHTED else None
        if weights is None or node.inputs.count(tensor) != 1 or node.inputs[0] != tensor:
            return False
        if node.op == "Conv2D" and weights.shape[3] != self.channels:
            return False  # groups
        self.padded |= node.op != "FullyConnected" and _pads(self.graph, node)
        depth = weights.shape[1] if node.op == "FullyConnected" else self.channels
        return depth % self.channels == 0

    def _beyond(self, node: Node, tensor: str) -> list[Node] | None:
        if not self._passes(node, tensor):
            return None
        self.padded |= node.op == "Pad"
        return self.readers(node.outputs[0])

    def _passes(self, node: Node, tensor: str) -> bool:
        if node.inputs[0] != tensor or node.attrs.get("activation") not in (None, "relu"):
            return False
        if node.op == "Mean":
            axes = self.graph.const(node.inputs[1])
            rank = len(self.graph.tensors[tensor].shape)
            return axes is not None and rank - 1 not in np.atleast_1d(axes) % rank
        if node.op == "Reshape":
            return self.graph.tensors[node.outputs[0]].shape[-1] % self.channels == 0
        if node.op == "Pad":
            return not node.attrs.get("value", 0.0) and not self.graph.const(node.inputs[1])[-1].any()
        return node.op in ("Relu", "MaxPool2D", "AveragePool2D")


def _pads(graph: Graph, node: Node) -> bool:
    """Whether a convolution reads zeros beside its input."""
    padding = node.attrs.get("padding", "VALID")
    if padding == "VALID":
        return False
    height, width = _window(graph, node)
    return (height, width) != (1, 1) if padding == "SAME" else bool(np.any(padding))


def _window(graph: Graph, node: Node) -> tuple[int, int]:
    return graph.tensors[node.inputs[1]].shape[1:3]


def _per_channel(weights: np.ndarray, node: Node, channels: int) -> np.ndarray:
    """A reader's weights as (…, channels, outputs of each)."""
    if node.op == "DepthwiseConv2D":
        return weights.reshape(-1, channels, weights.shape[3] // channels)
    return np.moveaxis(weights.reshape(weights.shape[0], -1, channels), 0, -1)


def read_per_channel(graph: Graph, node: Node, channels: int, *, relative: bool) -> np.ndarray:
    """The largest |w| with which a node reads each input channel, float64 (channels,).

    relative: as a share of the largest of its output channel.
    """
    weights = np.abs(graph.const(node.inputs[1]).astype(np.float64))
    if relative:
        axis = CHANNEL_AXIS[node.op]
        others = tuple(i for i in range(weights.ndim) if i != axis)
        largest = weights.max(axis=others, keepdims=True)
        weights = weights / np.where(largest > 0, largest, 1)
    return _per_channel(weights, node, channels).max(axis=(0, 2))


def written(graph: Graph, node: Node) -> np.ndarray:
    """The largest |w| of each output channel, float64 (channels,)."""
    weights, axis = graph.const(node.inputs[1]), CHANNEL_AXIS[node.op]
    return np.abs(weights.astype(np.float64)).max(axis=tuple(i for i in range(weights.ndim) if i != axis))


def scale_writer(graph: Graph, node: Node, factors: np.ndarray) -> None:
    """Multiplies each output channel of a node."""
    weights, axis = graph.const(node.inputs[1]), CHANNEL_AXIS[node.op]
    set_const(
        graph, node, 1, weights * factors.reshape([-1 if i == axis else 1 for i in range(weights.ndim)])
    )
    bias = graph.const((*node.inputs, OPTIONAL)[2])
    if bias is not None:
        set_const(graph, node, 2, bias * factors)


def scale_reader(graph: Graph, node: Node, factors: np.ndarray) -> None:
    """Multiplies what each input channel of a node is read with."""
    weights = graph.const(node.inputs[1])
    if node.op == "DepthwiseConv2D":
        factors = np.repeat(factors, weights.shape[3] // len(factors))
    set_const(graph, node, 1, weights * np.resize(factors, weights.shape[-1]))


def set_const(graph: Graph, node: Node, index: int, values: np.ndarray) -> None:
    """Gives a node a constant of its own, float32, as input `index`."""
    values = np.asarray(values, np.float32)
    old = node.inputs[index]
    node.inputs[index] = name = graph.unique_name(old)
    graph.tensors[name] = Tensor(name, values.shape, values.dtype, values)
    graph.drop_unused_tensors()
