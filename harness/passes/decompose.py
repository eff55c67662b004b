"""decompose: a convolution or fully connected layer as two smaller ones.

    Before                                   After

    x ── Conv2D 1×1, I → O ── y              x ── Conv2D 1×1, I → r ── Conv2D 1×1, r → O ── y
    x ── Conv2D k×k, I → O ── y              x ── Conv2D k×1, I → r ── Conv2D 1×k, r → O ── y
    x ── FullyConnected, I → O ── y          x ── FullyConnected, I → r ── FullyConnected, r → O ── y

Further training (`bench train`) brings back what the outputs lose.

Conditions: constant finite float weights, one group; r is at least 1 and saves something.

Formula: the weights as a matrix are replaced by the nearest one of rank r, W ≈ (U √S)(√S V), by their
singular value decomposition; for k×k filters the matrix is (k · I) × (k · O), which gives the separable
filters of M. Jaderberg et al., "Speeding up Convolutional Neural Networks with Low Rank Expansions",
arXiv:1405.3866 (scheme 2; in closed form: C. Tai et al., arXiv:1511.06067). r is the largest with
r · (k · I + k · O) ≤ cost · k² · I · O, the weights. Each output channel counts alike, however large its
weights: they are divided by their root mean square before, and the second factor multiplied by it.
"""

from __future__ import annotations

import numpy as np

from harness.errors import UsageError
from harness.graph import OPTIONAL, Graph, Node
from harness.ops.windows import window_attrs
from harness.passes._edit import Editor


def run(graph: Graph, cost: float = 0.5) -> Graph:
    """cost: what the factors have of a layer's weights. Raises UsageError where it is not between 0 and 1."""
    if not 0 < cost < 1:
        raise UsageError(f"decompose: cost={cost} is not between 0 and 1")
    edit = Editor(graph)
    for node in list(edit.nodes()):
        if node.op not in ("Conv2D", "FullyConnected") or not edit.is_float(*node.inputs[1:]):
            continue
        weights = edit.graph.const(node.inputs[1])
        if weights is None or not np.isfinite(weights).all() or _groups(edit.graph, node, weights) > 1:
            continue
        _decompose(edit, node, weights, cost)
    return edit.finish()


def _groups(graph: Graph, node: Node, weights: np.ndarray) -> int:
    return graph.tensors[node.inputs[0]].shape[-1] // weights.shape[-1] if node.op == "Conv2D" else 1


def _decompose(edit: Editor, node: Node, weights: np.ndarray, cost: float) -> None:
    kernel = weights if node.op == "Conv2D" else weights[:, None, None, :]
    outputs, height, width, inputs = kernel.shape
    matrix = kernel.transpose(1, 3, 2, 0).reshape(height * inputs, width * outputs)
    rank = int(cost * matrix.size / sum(matrix.shape))
    if rank < 1:
        return
    size = np.sqrt(np.square(kernel, dtype=np.float64).mean((1, 2, 3)))  # of each output channel
    sizes = np.tile(np.where(size > 0, size, 1.0), width)
    left, right = _factors(matrix / sizes, rank)
    right = (right * sizes).astype(np.float32)
    first = left.reshape(height, 1, inputs, rank).transpose(3, 0, 1, 2)
    second = right.reshape(rank, 1, width, outputs).transpose(3, 1, 2, 0)
    if node.op == "FullyConnected":
        first, second = first[:, 0, 0], second[:, 0, 0]
    base, attrs = node.inputs[1], _split(node)
    reduced = edit.add(
        node.op,
        f"{node.name}/rank",
        [node.inputs[0], edit.graph.add_const(f"{base}/first", first)],
        **attrs[0],
    )
    bias = (*node.inputs, OPTIONAL)[2]
    inputs_of_second = [reduced, edit.graph.add_const(f"{base}/second", second), *([bias] if bias else [])]
    edit.rewrite(node, node.op, inputs_of_second, **attrs[1])


def _factors(matrix: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """float32 (rows, rank) and (rank, columns), both with the same share of the singular values."""
    left, values, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    root = np.sqrt(values[:rank])
    factors = left[:, :rank] * root, root[:, None] * right[:rank]
    return tuple(np.ascontiguousarray(factor, np.float32) for factor in factors)


def _split(node: Node) -> tuple[dict, dict]:
    """The attributes of both factors: the first works along the height, the second along the width."""
    if node.op == "FullyConnected":
        return {"keep_dims": True} if node.attrs.get("keep_dims") else {}, dict(node.attrs)
    stride, dilation, padding = window_attrs(node)
    (down, across) = ((padding, padding) if isinstance(padding, str) else
                      ((padding[0], (0, 0)), ((0, 0), padding[1])))  # fmt: skip
    first = {"stride": (stride[0], 1), "dilation": (dilation[0], 1), "padding": down}
    second = {"stride": (1, stride[1]), "dilation": (1, dilation[1]), "padding": across}
    return first, node.attrs | second
