"""equalize: cross-layer equalization (M. Nagel et al., "Data-Free Quantization Through Weight Equalization
and Bias Correction", ICCV 2019, arXiv:1906.04721, section 4.1).

    before   x ── A(W₁, b₁) ── B(W₂)
    after    x ── A(S⁻¹W₁, S⁻¹b₁) ── B(W₂S)        S diagonal, positive: the same function, as f(sx) = s f(x)

    s_c = κ √(r₁_c / r₂_c)      so that the range of channel c before and after the cut becomes √(r₁ r₂)

r₂_c: the largest |w| that reads channel c. r₁_c: with one scale a tensor, the largest |w| that writes it,
as in the paper. Weights with a scale a channel need no help; what is left with one scale is the activation
between, so there r₁_c is its largest value on the samples, and r₂_c counts each weight as a share of its
output channel's largest (as G. Xiao et al., "SmoothQuant", arXiv:2211.10438, with α = 1/2). A depthwise
layer whose filters have scales of their own takes any s: then all channels get the same range.

Valid between weighted layers, with nothing in between but ops that f(sx) = s f(x) and that keep channels
apart, and no other reader. Relu6 is not such an op. Channels that come near 6 on the samples keep s = 1,
which is exact; others are scaled so that 6 stays beyond their largest value by the headroom, which is exact
for every input on which they stay below both limits, as they do on all samples.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.errors import UsageError
from harness.graph import Graph
from harness.quantize.draft import Draft
from harness.quantize.pairs import Pair, pairs, read_per_channel, scale_reader, scale_writer, written

LARGEST = 1024.0  # a product of factors beyond this only blows up channels that are all but dead
MAX_ROUNDS = 20
SETTLED = 1e-3  # of the logarithm of a factor
RELU6 = 6.0


def run(draft: Draft, headroom: float = 0.2) -> Draft:
    """headroom: for Relu6, the share by which a channel may exceed what it did on the samples.

    Raises UsageError after steps that have decided about the weights as they were.
    """
    if draft.choices.rounded or draft.choices.shifts:
        raise UsageError("equalize: goes before round and correct_bias, whose results it would undo")
    graph = draft.graph.clone()
    found = pairs(graph)
    seen = draft.learned.channels(draft.graph, [pair.tensor for pair in found])
    products = {pair.tensor: np.ones(len(seen[pair.tensor].magnitude)) for pair in found}
    for _ in range(MAX_ROUNDS):
        moved = 0.0
        for pair in found:
            product = products[pair.tensor]
            magnitude = seen[pair.tensor].magnitude / product
            factors = _factors(graph, pair, magnitude, draft.choices.one_scale)
            factors = np.clip(factors * product, 1 / LARGEST, LARGEST) / product
            if pair.limit == RELU6:
                factors = _below_six(factors, magnitude, headroom)
            _apply(graph, pair, factors)
            products[pair.tensor] = product * factors
            moved = max(moved, float(np.abs(np.log(factors)).max()))
        if moved < SETTLED:
            break
    return replace(draft, graph=graph)


def _factors(graph: Graph, pair: Pair, seen: np.ndarray, one_scale: bool) -> np.ndarray:
    """s of every channel, float64; 1 for channels that nothing writes or reads."""
    if one_scale:
        wanted_from, read = written(graph, pair.writer), np.zeros(len(seen))
        for reader in pair.readers:
            read = np.maximum(read, read_per_channel(graph, reader, len(seen), relative=False))
        return _ratio(np.sqrt, wanted_from, read)
    read = np.zeros(len(seen))
    for reader in pair.readers:
        if reader.op != "DepthwiseConv2D":
            read = np.maximum(read, read_per_channel(graph, reader, len(seen), relative=True))
    alone = all(reader.op == "DepthwiseConv2D" for reader in pair.readers)
    factors = _ratio(np.asarray, seen, np.ones(len(seen))) if alone else _ratio(np.sqrt, seen, read)
    return factors * _keeping_the_range(seen, factors)


def _ratio(root, above: np.ndarray, below: np.ndarray) -> np.ndarray:
    usable = (above > 0) & (below > 0)
    return np.where(usable, root(np.where(usable, above, 1) / np.where(usable, below, 1)), 1.0)


def _keeping_the_range(seen: np.ndarray, factors: np.ndarray) -> float:
    """κ: the largest value of the activation stays what it was."""
    largest = float((seen / factors).max())
    return largest / float(seen.max()) if largest > 0 else 1.0


def _below_six(factors: np.ndarray, seen: np.ndarray, headroom: float) -> np.ndarray:
    reach = seen * (1 + headroom) / RELU6
    return np.where(reach >= 1, 1.0, np.maximum(factors, reach))


def _apply(graph: Graph, pair: Pair, factors: np.ndarray) -> None:
    scale_writer(graph, pair.writer, 1 / factors)
    for reader in pair.readers:
        scale_reader(graph, reader, factors)
