"""absorb_bias: high-bias absorption (M. Nagel et al., arXiv:1906.04721, section 4.1.3).

    before   x ── A(W₁, b₁) ─ relu ── B(W₂, b₂)
    after    x ── A(W₁, b₁ − c) ─ relu ── B(W₂, b₂ + W₂c)      relu(a − c) = relu(a) − c wherever a ≥ c

c: the least value of each channel on the samples, where it is above zero (the paper, without samples, takes
β − 3γ of the batch norm). What a channel never goes below is taken out of the activation, whose range
becomes narrower.

Exact on all samples. Only where no zeros are padded on the way, since a padded zero would have to be −c, and
not behind a Relu6 that a channel comes near.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.errors import UsageError
from harness.graph import OPTIONAL, Graph, Node
from harness.quantize.draft import Draft
from harness.quantize.pairs import pairs, set_const


def run(draft: Draft, headroom: float = 0.2) -> Draft:
    """headroom: for Relu6, the share by which a channel may exceed what it did on the samples."""
    if draft.choices.rounded or draft.choices.shifts:
        raise UsageError("absorb_bias: goes before round and correct_bias, whose results it would undo")
    graph = draft.graph.clone()
    found = [pair for pair in pairs(graph) if not pair.padded]
    seen = draft.learned.channels(draft.graph, [pair.tensor for pair in found])
    for pair in found:
        channels = seen[pair.tensor]
        absorbed = np.maximum(channels.least, 0)
        absorbed = np.where(channels.largest * (1 + headroom) < pair.limit, absorbed, 0)
        if absorbed.any():
            _add_bias(graph, pair.writer, -absorbed)
            for reader in pair.readers:
                _add_bias(graph, reader, _contribution(graph, reader, absorbed))
    return replace(draft, graph=graph)


def _contribution(graph: Graph, reader: Node, absorbed: np.ndarray) -> np.ndarray:
    """W₂c: what constant inputs add to each output channel."""
    weights = graph.const(reader.inputs[1]).astype(np.float64)
    if reader.op == "DepthwiseConv2D":
        return weights.sum((0, 1, 2)) * np.repeat(absorbed, weights.shape[3] // len(absorbed))
    return (weights * np.resize(absorbed, weights.shape[-1])).reshape(len(weights), -1).sum(1)


def _add_bias(graph: Graph, node: Node, values: np.ndarray) -> None:
    bias = graph.const((*node.inputs, OPTIONAL)[2])
    if bias is None:
        node.inputs[2:3] = [graph.add_const(f"{node.name}/bias", values.astype(np.float32))]
    else:
        set_const(graph, node, 2, bias + values)
