"""add_default_attributes: every node says what it left to the default.

    Before                          After

    Conv2D(stride: (2, 2))          Conv2D(stride: (2, 2), dilation: (1, 1), padding: VALID, activation: None)

Condition: none. The defaults are those of the op's file in `harness/ops`.
"""

from __future__ import annotations

from harness.graph import Graph
from harness.ops import OPS


def run(graph: Graph) -> Graph:
    graph = graph.clone()
    for node in graph.nodes:
        if node.op in OPS:
            node.attrs = {**OPS[node.op].defaults, **node.attrs}
    return graph
