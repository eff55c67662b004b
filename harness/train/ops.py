"""The ops without weights of their own, on batches: (batch, …, channels), as the IR lays them out."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from harness.errors import FormatError
from harness.graph import Graph, Node
from harness.ops.windows import node_padding, window_attrs
from harness.train.layers import ACTIVATIONS

Op = Callable[[Graph, Node, list[torch.Tensor]], torch.Tensor]
OPS: dict[str, Op] = {}


def op(*names: str) -> Callable[[Op], Op]:
    """Registers a function of (graph, node, inputs) by these names."""

    def register(function: Op) -> Op:
        OPS.update(dict.fromkeys(names, function))
        return function

    return register


def _each(name: str, function: Callable[..., torch.Tensor]) -> None:
    OPS[name] = lambda graph, node, inputs: ACTIVATIONS[node.attrs.get("activation")](function(*inputs))


_each("Add", torch.add)
_each("Sub", torch.sub)
_each("Mul", torch.mul)
_each("Maximum", torch.maximum)
_each("Minimum", torch.minimum)
_each("Relu", F.relu)
_each("Relu6", F.relu6)
_each("ReluN1To1", ACTIVATIONS["relu_n1_to_1"])
_each("HardSwish", F.hardswish)
_each("Logistic", torch.sigmoid)
_each("Tanh", torch.tanh)


@op("LeakyRelu")
def _leaky_relu(graph, node, inputs):
    return F.leaky_relu(inputs[0], float(node.attrs["alpha"]))


@op("Softmax")
def _softmax(graph, node, inputs):
    return torch.softmax(inputs[0] * node.attrs.get("beta", 1.0), -1)


@op("Reshape", "Squeeze")
def _reshape(graph, node, inputs):
    """One sample's shape for each of the batch."""
    before, after = (graph.tensors[name].shape for name in (node.inputs[0], node.outputs[0]))
    if before[0] != 1 or after[0] != 1:
        raise FormatError(f"node '{node.name}' ({node.op}) does not keep samples apart: it cannot be trained")
    return inputs[0].reshape(inputs[0].shape[0], *after[1:])


@op("Pad")
def _pad(graph, node, inputs):
    widths = graph.const(node.inputs[1])[::-1].reshape(-1).tolist()
    return F.pad(inputs[0], widths, value=float(node.attrs.get("value", 0.0)))


@op("Concatenation")
def _concatenation(graph, node, inputs):
    joined = torch.cat(inputs, node.attrs["axis"])
    return ACTIVATIONS[node.attrs.get("activation")](joined)


@op("Mean")
def _mean(graph, node, inputs):
    axes = [int(axis) % inputs[0].ndim for axis in graph.const(node.inputs[1]).reshape(-1)]
    if 0 in axes:
        raise FormatError(f"node '{node.name}' (Mean) mixes samples: it cannot be trained")
    return inputs[0].mean(axes, keepdim=bool(node.attrs.get("keep_dims")))


@op("AveragePool2D")
def _average_pool(graph, node, inputs):
    """Padding does not count."""
    window = tuple(node.attrs["filter"])
    image = _padded(node, inputs[0], window, 0.0)
    inside = _padded(node, torch.ones_like(inputs[0][:1, :, :, :1]), window, 0.0)
    stride = window_attrs(node)[0]
    mean = F.avg_pool2d(image, window, stride) / F.avg_pool2d(inside, window, stride)
    return ACTIVATIONS[node.attrs.get("activation")](mean.permute(0, 2, 3, 1))


@op("MaxPool2D")
def _max_pool(graph, node, inputs):
    window = tuple(node.attrs["filter"])
    image = _padded(node, inputs[0], window, -torch.inf)
    pooled = F.max_pool2d(image, window, window_attrs(node)[0]).permute(0, 2, 3, 1)
    return ACTIVATIONS[node.attrs.get("activation")](pooled)


def _padded(node: Node, x: torch.Tensor, window: tuple[int, int], fill: float) -> torch.Tensor:
    """x (batch, height, width, channels), padded as the node says, as (batch, channels, height, width)."""
    ((top, bottom), (left, right)), _ = node_padding(node, x.shape[1:3], window)
    return F.pad(x, (0, 0, left, right, top, bottom), value=fill).permute(0, 3, 1, 2)
