"""fuse_bias: a constant added per channel becomes the bias of the op before it.

    Before                                       After

    x ── Conv2D ── BiasAdd ── y                  x ── Conv2D ── y
    w, b ───┘        └── t                       w, b' ───┘

Conditions: Conv2D, DepthwiseConv2D or FullyConnected with constant float weights and no activation; t is
a float constant with one value per output channel (or one in all), added by BiasAdd or Add; the value
between has one reader and is not a graph output.

Formula:  b' = b + t
"""

from __future__ import annotations

from harness.graph import Graph
from harness.passes._affine import fold_into_weights


def run(graph: Graph) -> Graph:
    return fold_into_weights(graph, {"BiasAdd", "Add"})
