"""prune_channels: the least important channels go, from all layers that share them: a smaller network.

    Before                                                       After

    x ── Conv2D, 32 channels ── DepthwiseConv2D ── Conv2D        x ── Conv2D, 24 ── DepthwiseConv2D ── Conv2D
              └───────────── Add ─────┘                                    └─────── Add ─────┘

Channels that are added to each other stay or go together. Further training (`bench train`) brings back what
the outputs lose.

Conditions: channels of convolutions and fully connected layers with constant float weights, which reach only
ops that treat each channel apart and layers that sum over them; the network's inputs and outputs keep theirs.

Formula: a channel's importance is the product of the ℓ₂ norms of all weights that make it, scale it and read
it, which no rescaling between layers changes (with the ℓ₁ norm of what makes it alone: H. Li et al.,
"Pruning Filters for Efficient ConvNets", arXiv:1608.08710). ⌈(1 − fraction) · count⌉ are kept, rounded up to
a multiple.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.errors import UsageError
from harness.graph import Graph, Node
from harness.passes._affine import CHANNEL_AXIS
from harness.passes._channels import ChannelMap, Channels
from harness.passes._edit import Editor


def run(graph: Graph, fraction: float = 0.3, multiple: int = 4) -> Graph:
    """multiple: what kernels are quickest with. Raises UsageError where fraction is not between 0 and 1."""
    if not 0 < fraction < 1 or multiple < 1:
        raise UsageError(
            f"prune_channels: fraction={fraction} must be between 0 and 1, and multiple={multiple} positive"
        )
    edit = Editor(graph)
    for channels in ChannelMap(edit.graph).all():
        wanted = int(np.ceil((1 - fraction) * channels.count / multiple)) * multiple
        if not channels.fixed and channels.makers and wanted < channels.count:
            most = np.argsort(-_importance(edit.graph, channels), kind="stable")[:wanted]
            _keep(edit, channels, np.sort(most))
    return edit.finish()


def _importance(graph: Graph, channels: Channels) -> np.ndarray:
    """float64 (channels,)."""
    made = np.sqrt(sum(_energy(graph, node, CHANNEL_AXIS[node.op], channels) for node in channels.makers))
    read = np.sqrt(sum((_energy(graph, node, -1, channels) for node in channels.readers), np.zeros(())))
    scaled = [
        np.sqrt(_energy(graph, node, CHANNEL_AXIS[node.op], channels))
        for node, index in channels.per_channel
        if index == 1 and node.op == "DepthwiseConv2D"
    ]
    return np.prod([made, read if channels.readers else np.ones(channels.count), *scaled], axis=0)


def _energy(graph: Graph, node: Node, axis: int, channels: Channels) -> np.ndarray:
    """Σ w² of each channel, (channels,), along an axis that may hold all channels several times."""
    along = np.moveaxis(graph.const(node.inputs[1]).astype(np.float64), axis, -1)
    return np.square(along).reshape(-1, channels.count).sum(0)


def _keep(edit: Editor, channels: Channels, kept: np.ndarray) -> None:
    for node in channels.makers:
        _take(edit, node, 1, CHANNEL_AXIS[node.op], kept)
    for node in channels.readers:
        repeats = channels.activations[node.inputs[0]]
        _take(edit, node, 1, -1, _repeated(kept, channels.count, repeats))
    for node, index in channels.per_channel:
        _take(edit, node, index, -1, kept)
    for name, repeats in channels.activations.items():
        tensor = edit.graph.tensors[name]
        edit.graph.tensors[name] = replace(tensor, shape=(*tensor.shape[:-1], len(kept) * repeats))
    for node in edit.nodes():
        if node.op == "Reshape" and node.outputs[0] in channels.activations:
            node.inputs = node.inputs[:1]
            node.attrs = node.attrs | {"shape": edit.graph.tensors[node.outputs[0]].shape}


def _repeated(kept: np.ndarray, count: int, repeats: int) -> np.ndarray:
    return (np.arange(repeats)[:, None] * count + kept).reshape(-1)


def _take(edit: Editor, node: Node, index: int, axis: int, kept: np.ndarray) -> None:
    values = np.ascontiguousarray(np.take(edit.graph.const(node.inputs[index]), kept, axis))
    edit.set_const(node, index, values, node.inputs[index])
