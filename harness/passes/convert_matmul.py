"""convert_matmul: a product with constant weights is a fully connected layer.

    Before                                       After

    x (n, in) ── MatMul ── y                     x (n, in) ── FullyConnected ── y
    b (in, out) ───┘                             bᵀ (out, in) ──────┘

Conditions: b is a float constant of rank 2, a is not transposed.
"""

from __future__ import annotations

import numpy as np

from harness.graph import Graph
from harness.passes._edit import Editor


def run(graph: Graph) -> Graph:
    edit = Editor(graph)
    for node in edit.nodes():
        if node.op != "MatMul" or node.attrs.get("transpose_a") or not edit.is_float(*node.inputs):
            continue
        b = edit.graph.const(node.inputs[1])
        if b is None or b.ndim != 2:
            continue
        if not node.attrs.get("transpose_b"):
            edit.set_const(node, 1, np.ascontiguousarray(b.T), node.inputs[1])
        node.op, node.attrs = "FullyConnected", {}
    return edit.finish()
