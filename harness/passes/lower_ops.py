"""lower_ops: ops that neither TFLite nor the runtime has, in ops that both have.

    Before                                       After

    x ── BatchNorm ── y                          x ── Mul ── Add ── y
          └── γ, β, μ, σ²                              └── s  └── t

    x ── BiasAdd ── y                            x ── Add ── y
          └── t                                        └── t

Conditions: float values; γ, β, μ and σ² are constants with one value per channel. What could be folded into
weights has been by the passes before.

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
    return edit.finish()


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
