"""fold_input_scales: a product or sum per channel in front of a weighted op goes into its weights.

    Before                                       After

    x ── Mul ── Add ── Conv2D ── y               x ── Conv2D ── y
          └── s  └── t  └── w, b                       └── w', b'

Conditions: Conv2D, DepthwiseConv2D or FullyConnected with constant float weights; s and t are constants
with one value per channel (or one in all), as Mul, Add, Sub, BiasAdd or BatchNorm apply them, without an
activation; the value between has one reader and is not a graph output. The border of a convolution that
pads with zeros does not get t, so there only s is folded.

Formula:  w'[o, …, c] = w[o, …, c] · s[c]   b'[o] = b[o] + Σ w[o, …, c] · t[c]
"""

from __future__ import annotations

import numpy as np

from harness.graph import OPTIONAL, Graph, Node
from harness.ops.windows import node_padding
from harness.passes._affine import multiply_add
from harness.passes._edit import Editor

WEIGHTED = {"Conv2D", "DepthwiseConv2D", "FullyConnected"}


def run(graph: Graph) -> Graph:
    edit = Editor(graph)
    with np.errstate(all="ignore"):  # what is not finite is left unfolded
        for node in edit.nodes():
            while node.op in WEIGHTED and _fold(edit, node):
                pass
    return edit.finish()


def _fold(edit: Editor, node: Node) -> bool:
    """Folds the op in front of `node` if it may, and says whether it did."""
    graph, x = edit.graph, node.inputs[0]
    step = _step_before(edit, node)
    weights, bias = (graph.const(name) for name in (*node.inputs, OPTIONAL)[1:3])
    missing = len(node.inputs) < 3 or node.inputs[2] == OPTIONAL
    if step is None or weights is None or (bias is None and not missing):
        return False
    if not edit.is_float(x, *node.inputs[1:], *node.outputs):
        return False
    source, scale, shift = step
    if shift.any() and _pads(graph, node):
        return False
    factor, term = (_along(node, weights, values) for values in (scale, shift))
    if factor is None:
        return False
    wide = weights.astype(np.float64)
    axes = (0, 1, 2) if node.op == "DepthwiseConv2D" else tuple(range(1, weights.ndim))
    added = (wide * term).sum(axis=axes)
    folded, moved = (wide * factor).astype(np.float32), (0 if missing else bias) + added
    if not (np.isfinite(folded).all() and np.isfinite(moved.astype(np.float32)).all()):
        return False
    edit.set_const(node, 1, folded, node.inputs[1])
    if shift.any():
        edit.set_const(node, 2, moved.astype(np.float32), f"{node.name}/bias")
    _read_from(edit, node, source)
    return True


def _step_before(edit: Editor, node: Node) -> tuple[str, np.ndarray, np.ndarray] | None:
    """(its input, scale, shift) of the op in front of `node`, where only `node` reads it and it is affine."""
    graph, x = edit.graph, node.inputs[0]
    before = edit.producer(x)
    if before is None or before.attrs.get("activation") or node.inputs.count(x) != 1:
        return None
    if edit.only_reader(before) is not node or graph.tensors[x].shape is None:
        return None
    varying = [name for name in before.inputs if name == OPTIONAL or graph.const(name) is None]
    if len(varying) != 1 or OPTIONAL in varying or graph.tensors[varying[0]].shape != graph.tensors[x].shape:
        return None
    step = multiply_add(graph, before, varying[0], graph.tensors[x].shape[-1])
    return None if step is None else (varying[0], *step)


def _pads(graph: Graph, node: Node) -> bool:
    if node.op == "FullyConnected":
        return False
    size = graph.tensors[node.inputs[0]].shape[1:3]
    pads, _ = node_padding(node, size, graph.tensors[node.inputs[1]].shape[1:3])
    return bool(np.any(pads))


def _along(node: Node, weights: np.ndarray, values: np.ndarray) -> np.ndarray | None:
    """Values per input channel in a shape that broadcasts over the weights; None where they do not fit."""
    if node.op == "DepthwiseConv2D":
        return np.repeat(values, node.attrs.get("multiplier", 1))
    depth = weights.shape[-1]
    return np.tile(values, depth // len(values)) if depth % len(values) == 0 else None


def _read_from(edit: Editor, node: Node, source: str) -> None:
    before = edit.producer(node.inputs[0])
    edit.redirect([node], node.inputs[0], source)
    edit.remove(before)
