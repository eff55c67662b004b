"""fold_batch_norms: batch normalization with fixed statistics, or a product per channel, becomes weights.

    Before                                       After

    x ── Conv2D ── BatchNorm ── y                x ── Conv2D ── y
    w, b ───┘        └── γ, β, μ, σ²             w', b' ──┘

    x ── Conv2D ── Mul ── y                      x ── Conv2D ── y
    w, b ───┘       └── s                        w', b' ──┘

Conditions: Conv2D, DepthwiseConv2D, FullyConnected or MatMul with constant float weights, no activation
in between; the other operands are constants with one value per output channel (or one in all); the value
between has one reader and is not a graph output. A MatMul has no bias, so only a multiplication folds
into it.

Formula (Jacob et al. 2018, §3.2):  s = γ / √(σ² + ε)   w' = w · s   b' = b · s + β − μ · s
"""

from __future__ import annotations

from harness.graph import Graph
from harness.passes._affine import fold_into_weights


def run(graph: Graph) -> Graph:
    return fold_into_weights(graph, {"Mul", "BatchNorm"})
