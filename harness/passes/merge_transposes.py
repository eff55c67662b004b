"""merge_transposes: permutations one after the other are one, and one that moves nothing is none.

    Before                                       After

    x ── Transpose(p) ── Transpose(q) ── y       x ── Transpose(p[q]) ── y

    x ── Transpose(0, 1, 2) ── y                 x ── y

    x (1, 1, 5) ── Transpose(1, 2, 0) ── y       x ── Reshape(1, 5, 1) ── y

Conditions: the permutations are constants, the shapes are known, values are float; for the last, the axes
longer than 1 keep their order.
"""

from __future__ import annotations

import numpy as np

from harness.graph import Graph, Node
from harness.passes._edit import Editor


def run(graph: Graph) -> Graph:
    edit = Editor(graph)
    for node in edit.nodes():
        if node.op != "Transpose" or not edit.is_float(node.inputs[0], *node.outputs):
            continue
        shape = edit.graph.tensors[node.inputs[0]].shape
        if shape is None or edit.graph.const(node.inputs[1]) is None:
            continue
        _join(edit, node)
        perm = edit.graph.const(node.inputs[1]).tolist()
        shape = edit.graph.tensors[node.inputs[0]].shape  # of what it now reads
        if perm == sorted(perm):
            edit.bypass(node)
        elif _keeps_order(perm, shape):
            edit.rewrite(node, "Reshape", node.inputs[:1], shape=tuple(shape[p] for p in perm))
    return edit.finish()


def _join(edit: Editor, node: Node) -> None:
    """Makes `node` do the permutations before it too."""
    producer = edit.producer(node.inputs[0])
    if producer is None or producer.op != "Transpose" or not edit.is_float(producer.inputs[0]):
        return
    first, second = (edit.graph.const(n.inputs[1]) for n in (producer, node))
    if first is not None and first.shape == second.shape:
        edit.set_const(node, 1, first[second], node.inputs[1])
        edit.skip(node, producer)


def _keeps_order(perm: list[int], shape: tuple[int, ...]) -> bool:
    moved = [p for p in perm if shape[p] != 1]
    return bool(np.all(np.diff(moved) > 0))
