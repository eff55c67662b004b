"""decompose: a convolution or fully connected layer as two or three smaller ones.

    Before                                   After

    x ── FullyConnected, I → O ── y          x ── FullyConnected, I → r ── FullyConnected, r → O ── y
    x ── Conv2D 1×1, I → O ── y              x ── Conv2D 1×1, I → r ── Conv2D 1×1, r → O ── y
    x ── Conv2D k×k, I → O ── y    svd       x ── Conv2D k×1, I → r ── Conv2D 1×k, r → O ── y
                                   tucker    x ── Conv2D 1×1, I → p ── Conv2D k×k, p → q
                                                                    ── Conv2D 1×1, q → O ── y

Further training (`bench train`) brings back what the outputs lose.

Conditions: constant finite float weights, one group; the ranks are at least 1 and save something.

Formula, svd: the weights as a matrix are replaced by the nearest one of rank r, W ≈ (U √S)(√S V), by their
singular value decomposition; for k×k filters the matrix is (k · I) × (k · O), which gives the separable
filters of M. Jaderberg et al., "Speeding up Convolutional Neural Networks with Low Rank Expansions",
arXiv:1405.3866 (scheme 2; in closed form: C. Tai et al., arXiv:1511.06067). r is the largest with
r · (k · I + k · O) ≤ cost · k² · I · O, the weights.

Formula, tucker: the Tucker-2 decomposition of Y.-D. Kim et al., "Compression of Deep Convolutional Neural
Networks for Fast and Low Power Mobile Applications", arXiv:1511.06530, W ≈ C ×_O Q ×_I P with orthonormal
Q (O, q) and P (I, p), found by higher-order orthogonal iteration (L. De Lathauwer et al., SIAM J. Matrix
Anal. Appl. 21(4), 2000). The ranks have the same share of O and I, the largest with
p · I + k² · p · q + q · O ≤ cost · k² · I · O.

Each output channel counts alike, however large its weights: they are divided by their root mean square
before, and the last factor multiplied by it.
"""

from __future__ import annotations

import numpy as np

from harness.errors import UsageError
from harness.graph import OPTIONAL, Graph, Node
from harness.ops.windows import WINDOW_DEFAULTS, window_attrs
from harness.passes._edit import Editor

ROUNDS = 10  # of the orthogonal iteration, which is settled much earlier


def run(graph: Graph, cost: float = 0.5, method: str = "svd") -> Graph:
    """cost: what the factors have of a layer's weights. method: of filters larger than 1×1.

    Raises UsageError where the cost is not between 0 and 1, or for an unknown method.
    """
    if not 0 < cost < 1:
        raise UsageError(f"decompose: cost={cost} is not between 0 and 1")
    if method not in ("svd", "tucker"):
        raise UsageError(f"decompose: method '{method}' is neither svd nor tucker")
    edit = Editor(graph)
    for node in list(edit.nodes()):
        if node.op not in ("Conv2D", "FullyConnected") or not edit.is_float(*node.inputs[1:]):
            continue
        weights = edit.graph.const(node.inputs[1])
        if weights is None or not np.isfinite(weights).all() or _groups(edit.graph, node, weights) > 1:
            continue
        _decompose(edit, node, weights, cost, method)
    return edit.finish()


def _groups(graph: Graph, node: Node, weights: np.ndarray) -> int:
    return graph.tensors[node.inputs[0]].shape[-1] // weights.shape[-1] if node.op == "Conv2D" else 1


def _decompose(edit: Editor, node: Node, weights: np.ndarray, cost: float, method: str) -> None:
    kernel = weights if node.op == "Conv2D" else weights[:, None, None, :]
    size = np.sqrt(np.square(kernel, dtype=np.float64).mean((1, 2, 3), keepdims=True))
    size = np.where(size > 0, size, 1.0)  # of each output channel
    if method == "tucker" and kernel.shape[1:3] != (1, 1):
        factors, attrs = tucker(kernel / size, cost), _around(node)
    else:
        factors, attrs = svd(kernel / size, cost), _split(node)
    if not factors:
        return
    factors[-1] = factors[-1] * size
    x = node.inputs[0]
    for index, factor in enumerate(factors[:-1]):
        stored = _stored(edit, node, index, factor)
        x = edit.add(node.op, f"{node.name}/factor{index}", [x, stored], **attrs[index])
    bias = (*node.inputs, OPTIONAL)[2]
    stored = _stored(edit, node, len(factors) - 1, factors[-1])
    edit.rewrite(node, node.op, [x, stored, *([bias] if bias else [])], **attrs[-1])


def _stored(edit: Editor, node: Node, index: int, factor: np.ndarray) -> str:
    """The name of a factor as a constant."""
    factor = factor[:, 0, 0] if node.op == "FullyConnected" else factor
    return edit.graph.add_const(f"{node.inputs[1]}/factor{index}", np.ascontiguousarray(factor, np.float32))


# --- factors: filters (outputs, height, width, inputs), first to last; none where the cost allows no rank ---


def svd(kernel: np.ndarray, cost: float) -> list[np.ndarray]:
    """Filters along the height and along the width, with the same share of the singular values."""
    outputs, height, width, inputs = kernel.shape
    matrix = kernel.transpose(1, 3, 2, 0).reshape(height * inputs, width * outputs)
    rank = int(cost * matrix.size / sum(matrix.shape))
    if rank < 1:
        return []
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    root = np.sqrt(values[:rank])
    left, right = left[:, :rank] * root, root[:, None] * right[:rank]
    return [
        left.reshape(height, 1, inputs, rank).transpose(3, 0, 1, 2),
        right.reshape(rank, 1, width, outputs).transpose(3, 1, 2, 0),
    ]


def tucker(kernel: np.ndarray, cost: float) -> list[np.ndarray]:
    """1×1 filters that reduce the inputs, smaller filters, and 1×1 filters that restore the outputs."""
    outputs, height, width, inputs = kernel.shape
    # share · (I² + O²) + share² · k² I O = cost · k² I O
    ends, middle = inputs**2 + outputs**2, kernel.size
    share = (np.sqrt(ends**2 + 4 * middle * cost * middle) - ends) / (2 * middle)
    reduced, restored = int(share * inputs), int(share * outputs)
    if reduced < 1 or restored < 1:
        return []
    by_input = _directions(kernel.reshape(-1, inputs).T, reduced)
    for _ in range(ROUNDS):
        by_output = _directions((kernel @ by_input).reshape(outputs, -1), restored)
        core = np.tensordot(by_output.T, kernel, 1)
        by_input = _directions(core.reshape(-1, inputs).T, reduced)
    return [by_input.T[:, None, None], core @ by_input, by_output[:, None, None]]


def _directions(rows: np.ndarray, count: int) -> np.ndarray:
    """The orthonormal columns, (rows, count), in which the rows vary most."""
    return np.linalg.eigh(rows @ rows.T)[1][:, ::-1][:, :count]


# --- attributes of the layers ---


def _split(node: Node) -> list[dict]:
    """The first works along the height, the second along the width."""
    if node.op == "FullyConnected":
        return [{"keep_dims": True} if node.attrs.get("keep_dims") else {}, dict(node.attrs)]
    stride, dilation, padding = window_attrs(node)
    (down, across) = ((padding, padding) if isinstance(padding, str) else
                      ((padding[0], (0, 0)), ((0, 0), padding[1])))  # fmt: skip
    first = {"stride": (stride[0], 1), "dilation": (dilation[0], 1), "padding": down}
    second = {"stride": (1, stride[1]), "dilation": (1, dilation[1]), "padding": across}
    return [first, node.attrs | second]


def _around(node: Node) -> list[dict]:
    """The one in the middle has the window; zeros that it pads are zeros of x, for the first has no bias."""
    stride, dilation, padding = window_attrs(node)
    middle = {"stride": stride, "dilation": dilation, "padding": padding}
    return [WINDOW_DEFAULTS, middle, node.attrs | WINDOW_DEFAULTS]
