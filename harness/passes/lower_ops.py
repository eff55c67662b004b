"""lower_ops: ops that neither TFLite nor the runtime has, in ops that both have.

    Before                                       After

    x ── BatchNorm ── y                          x ── Mul ── Add ── y
          └── γ, β, μ, σ²                              └── s  └── t

    x ── BiasAdd ── y                            x ── Add ── y
          └── t                                        └── t

    x ── Div ── y                                x ── Mul ── y
          └── c                                        └── 1 / c

Conditions: float values; γ, β, μ and σ² are constants with one value per channel; c is a constant and 1 / c
finite. What could be folded into weights has been by the passes before.

Formula:  s = γ / √(σ² + ε)   t = β − μ · s
"""

from __future__ import annotations

import numpy as np

from harness.graph import Graph, Node
from harness.passes._affine import multiply_add
from harness.passes._edit import Editor


def run(graph: Graph) -> Graph:
    edit = Editor(graph)
    for node in edit.nodes():
        if not edit.is_float(*node.outputs):
            continue
        if node.op == "BatchNorm":
            _split(edit, node)
        elif node.op == "BiasAdd":
            edit.rewrite(node, "Add", node.inputs)
        elif node.op == "Div":
            _multiply(edit, node)
    return edit.finish()


def _multiply(edit: Editor, node: Node) -> None:
    divisor = edit.graph.const(node.inputs[1])
    if divisor is None or not edit.is_float(*node.inputs):
        return
    with np.errstate(all="ignore"):
        factor = np.asarray(1 / divisor.astype(np.float64), np.float32)
    if np.isfinite(factor).all():
        edit.set_const(node, 1, factor, node.inputs[1])
        node.op = "Mul"


def _split(edit: Editor, node: Node) -> None:
    x = node.inputs[0]
    shape = edit.graph.tensors[x].shape
    step = multiply_add(edit.graph, node, x, shape[-1]) if shape else None
    if step is None:
        return
    scale, shift = (values.astype(np.float32) for values in step)
    if not (np.isfinite(scale).all() and np.isfinite(shift).all()):
        return
    factor, term = (
        edit.graph.add_const(f"{node.name}/{part}", values)
        for part, values in (("scale", scale), ("shift", shift))
    )
    edit.rewrite(node, "Add", [edit.add("Mul", f"{node.name}/mul", [x, factor]), term])
