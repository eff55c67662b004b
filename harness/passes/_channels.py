"""Which activations have the same channels, and which weights belong to them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from harness.graph import OPTIONAL, Graph, Node

UNARY = {
    "AveragePool2D", "MaxPool2D", "Relu", "Relu6", "ReluN1To1", "Elu", "LeakyRelu", "Logistic", "Tanh",
    "Swish", "HardSwish", "Gelu", "Identity",
}  # fmt: skip
"""Ops that treat each channel alike and apart."""
ELEMENTWISE = {"Add", "Sub", "Mul", "Div", "Maximum", "Minimum", "BiasAdd", "Prelu", "BatchNorm"}


@dataclass
class Channels:
    """Channels that are kept or go together.

    makers, readers: the layers that write them and that sum over them. per_channel: (node, input) of
    constants with an entry for each. activations: name → how often all channels follow each other in the last
    dimension. fixed: they must stay.
    """

    count: int
    makers: list[Node] = field(default_factory=list)
    readers: list[Node] = field(default_factory=list)
    per_channel: list[tuple[Node, int]] = field(default_factory=list)
    activations: dict[str, int] = field(default_factory=dict)
    fixed: bool = False


class ChannelMap:
    """The `Channels` of every float activation of a graph, by name."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.of: dict[str, Channels] = {}
        for name in graph.inputs:
            self._begin(name).fixed = True
        for node in graph.execution_order():
            self._follow(node)
        for name in graph.outputs:
            if name in self.of:
                self.of[name].fixed = True

    def all(self) -> list[Channels]:
        return list({id(channels): channels for channels in self.of.values()}.values())

    def _begin(self, name: str) -> Channels:
        shape = self._graph.tensors[name].shape
        channels = Channels(shape[-1] if shape else 1, activations={name: 1})
        self.of[name] = channels
        return channels

    def _same(self, output: str, source: str, repeats: int = 1) -> None:
        channels = self.of[source]
        channels.activations[output] = channels.activations[source] * repeats
        self.of[output] = channels

    def _follow(self, node: Node) -> None:
        """What a node's output shares with its inputs; where that is not known, they are fixed."""
        graph, x = self._graph, node.inputs[0] if node.inputs else OPTIONAL
        if x not in self.of or len(node.outputs) != 1 or not graph.tensors[node.outputs[0]].shape:
            self._fix(node)
        elif node.op in ("Conv2D", "FullyConnected") and self._is_plain(node):
            self.of[x].readers.append(node)
            made = self._begin(node.outputs[0])
            made.makers.append(node)
            self._hold_bias(made, node)
        elif node.op == "DepthwiseConv2D" and self._is_plain(node) and node.attrs.get("multiplier", 1) == 1:
            self._same(node.outputs[0], x)
            self.of[x].per_channel.append((node, 1))
            self._hold_bias(self.of[x], node)
        elif node.op in UNARY or (node.op in ("Mean", "Pad") and self._keeps_channels(node)):
            self._same(node.outputs[0], x)
        elif node.op in ("Reshape", "Squeeze") and self._repeats(node):
            self._same(node.outputs[0], x, self._repeats(node))
        elif node.op in ELEMENTWISE and self._join(node):
            pass
        else:
            self._fix(node)

    def _fix(self, node: Node) -> None:
        for name in node.inputs:
            if name in self.of:
                self.of[name].fixed = True
        for name in node.outputs:
            self._begin(name).fixed = True

    def _is_plain(self, node: Node) -> bool:
        """Constant weights, and one group."""
        graph = self._graph
        weights = graph.const(node.inputs[1])
        if weights is None or any(name and graph.const(name) is None for name in node.inputs[2:]):
            return False
        depth = graph.tensors[node.inputs[0]].shape[-1]
        return node.op != "Conv2D" or depth == weights.shape[3]

    def _hold_bias(self, channels: Channels, node: Node) -> None:
        if len(node.inputs) > 2 and node.inputs[2] != OPTIONAL:
            channels.per_channel.append((node, 2))

    def _keeps_channels(self, node: Node) -> bool:
        values = self._graph.const(node.inputs[1])
        rank = len(self._graph.tensors[node.inputs[0]].shape)
        if values is None:
            return False
        if node.op == "Pad":
            return not values[-1].any()
        return all(int(axis) % rank != rank - 1 for axis in values.reshape(-1))

    def _repeats(self, node: Node) -> int:
        """How often the channels follow each other after a Reshape; 0 where they do not."""
        before, after = (self._graph.tensors[name].shape for name in (node.inputs[0], node.outputs[0]))
        merged = int(np.prod(before[1:]))
        if after[-1] == before[-1]:
            return 1
        return merged // before[-1] if after[-1] == merged else 0

    def _join(self, node: Node) -> bool:
        """One value for each channel of every operand; False where some operand has other channels."""
        graph, output = self._graph, node.outputs[0]
        count = graph.tensors[output].shape[-1]
        sources = [name for name in node.inputs if name in self.of]
        if any(self.of[name].count != count or self.of[name].activations[name] != 1 for name in sources):
            return False
        constants = {
            index: graph.const(name) for index, name in enumerate(node.inputs) if name not in self.of
        }
        if any(
            values is None or values.shape[-1:] not in ((), (1,), (count,)) for values in constants.values()
        ):
            return False
        joined = self.of[sources[0]]
        for name in sources[1:]:
            self._merge(joined, self.of[name])
        joined.per_channel += [(node, i) for i, values in constants.items() if values.shape[-1:] == (count,)]
        self._same(output, sources[0])
        return True

    def _merge(self, into: Channels, other: Channels) -> None:
        if into is other:
            return
        into.makers += other.makers
        into.readers += other.readers
        into.per_channel += other.per_channel
        into.activations |= other.activations
        into.fixed |= other.fixed
        self.of |= dict.fromkeys(other.activations, into)
