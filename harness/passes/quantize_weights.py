"""quantize_weights: large float weights are stored as int8, and expanded to float again by a Dequantize.

    Before                       After

    x ── Conv2D ── y             x ─────────────────────── Conv2D ── y
    w f32 ──┘                    w int8 ── Dequantize f32 ────┘

A file a quarter as large; the outputs change by the rounding of the weights alone. The runtime expands the
weights once, when it loads the model.

Conditions: the constant is float32 and finite, has at least `minimum_size` elements, and is no graph output.

Formula:  q = round(w · 127 / m),  m = max |w| of the whole tensor: −m..m → −127..127, zero → zero
"""

from __future__ import annotations

import numpy as np

from harness.graph import Graph, Node, Tensor
from harness.quantize.weights import quantize_tensor

MINIMUM_SIZE = 1024


def run(graph: Graph, minimum_size: int = MINIMUM_SIZE) -> Graph:
    graph = graph.clone()
    nodes: list[Node] = []
    for node in graph.nodes:
        for name in dict.fromkeys(node.inputs):
            if _is_large(graph, name, minimum_size):
                nodes.append(_store_as_int8(graph, name))
        nodes.append(node)
    graph.nodes = nodes
    return graph


def _is_large(graph: Graph, name: str, minimum_size: int) -> bool:
    values = graph.const(name)
    if values is None or values.dtype != np.float32 or name in graph.outputs:
        return False
    return values.size >= max(minimum_size, 1) and bool(np.isfinite(values).all())


def _store_as_int8(graph: Graph, name: str) -> Node:
    """Makes a constant the output of the Dequantize node that is returned; all its readers stay."""
    values = graph.tensors[name].data
    stored = graph.add_const(f"{name}/int8", *quantize_tensor(values))
    graph.tensors[name] = Tensor(name, values.shape, values.dtype)
    return Node("Dequantize", graph.unique_name(f"{name}/dequantize"), [stored], [name])
