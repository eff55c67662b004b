"""prune_weights: the smallest weights of every layer become zero, so that the file compresses well.

    Before                                   After

    w f32:  0.3 -0.01  0.2  0.04             w f32:  0.3  0  0.2  0

The file stays as large as it is, and so does its arithmetic; what shrinks is its compressed size, as in an
over-the-air update. Further training (`bench train`) brings back what the outputs lose and leaves zeros zero.

Conditions: a convolution, fully connected layer or matrix product with constant finite float weights of at
least `minimum_size` elements.

Formula (S. Han et al., "Learning both Weights and Connections for Efficient Neural Networks",
arXiv:1506.02626):  w' = 0 where |w| is among the ⌊fraction · size⌋ smallest of its layer
"""

from __future__ import annotations

import numpy as np

from harness.errors import UsageError
from harness.graph import Graph
from harness.passes._affine import CHANNEL_AXIS
from harness.passes._edit import Editor


def run(graph: Graph, fraction: float = 0.5, minimum_size: int = 1024) -> Graph:
    """Raises UsageError for a fraction that is not between 0 and 1."""
    if not 0 < fraction < 1:
        raise UsageError(f"prune_weights: fraction={fraction} is not between 0 and 1")
    edit = Editor(graph)
    for node in edit.nodes():
        values = edit.graph.const(node.inputs[1]) if node.op in CHANNEL_AXIS else None
        if values is None or values.size < minimum_size or not edit.is_float(node.inputs[1]):
            continue
        if np.isfinite(values).all():
            edit.set_const(node, 1, _pruned(values, fraction), node.inputs[1])
    return edit.finish()


def _pruned(values: np.ndarray, fraction: float) -> np.ndarray:
    smallest = np.argsort(np.abs(values), axis=None, kind="stable")[: int(fraction * values.size)]
    pruned = values.copy()
    pruned.reshape(-1)[smallest] = 0
    return pruned
