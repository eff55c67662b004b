"""simplify_arithmetic: sums and multiples of the same values, in as few operations as they need.

    Before                                       After

    3 · a + 4 · a + 5 · a                        12 · a

    (x · 2 + 1) · 3 + 4                          x · 6 + 7

    a + b + 1 - b · 0.5 + 2                      a + b · 0.5 + 3

    x · 1,  x + 0,  x - 0                        x

Conditions: Add, Sub and products with a constant, all float, of known shapes, and without an activation but
for the last; each value between has one reader and is not a graph output; the result needs fewer operations,
and no constant larger than those that were there.

Formula:  Σ fᵢ · xᵢ + c with the factors of equal xᵢ added, computed in float64
"""

from __future__ import annotations

import numpy as np

from harness.graph import Graph, Node
from harness.passes import _linear
from harness.passes._edit import Editor


def run(graph: Graph) -> Graph:
    while True:  # ends: every round but the last leaves fewer nodes
        before = len(graph.nodes)
        graph = _round(graph)
        if len(graph.nodes) == before:
            return graph


def _round(graph: Graph) -> Graph:
    edit = Editor(graph)
    inner: set[int] = set()
    with np.errstate(all="ignore"):  # what is not finite is left as it is
        for root in reversed(list(edit.nodes())):
            if id(root) in inner or not _linear.is_linear(edit, root) or _drop_neutral(edit, root):
                continue
            total = _linear.read(edit, root)
            inner.update(id(node) for node in total.nodes)
            if total.factors and total.holds and len(total.steps()) < len(total.nodes):
                _linear.write(edit, root, total)
    return edit.finish()


def _drop_neutral(edit: Editor, node: Node) -> bool:
    """Takes out a node that multiplies by 1 or adds 0, and says whether it did."""
    index = _linear.constant_operand(edit.graph, node)
    if index is None or node.attrs.get("activation") or (node.op == "Sub" and index == 0):
        return False
    x, values = node.inputs[1 - index], edit.graph.const(node.inputs[index])
    shapes = [edit.graph.tensors[name].shape for name in (x, node.outputs[0])]
    if shapes[0] is None or shapes[0] != shapes[1] or (values != (node.op == "Mul")).any():
        return False
    return edit.bypass(node, 1 - index)
