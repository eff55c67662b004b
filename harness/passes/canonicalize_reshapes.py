"""canonicalize_reshapes: one op, with its shape spelt out, for everything that only changes the shape.

    Before                                       After

    x ── Squeeze(axes) ── y                      x ── Reshape(shape) ── y

    x ── Reshape ── y                            x ── Reshape(shape) ── y
    shape [-1, 10] ─┘

    x ── Reshape ── Reshape ── y                 x ── Reshape ── y

Conditions: the output's shape is known (inferred); for the last, the value between has one reader and is
not a graph output.
"""

from __future__ import annotations

from harness.graph import Graph
from harness.passes._edit import Editor


def run(graph: Graph) -> Graph:
    edit = Editor(graph)
    for node in edit.nodes():
        shape = edit.graph.tensors[node.outputs[0]].shape if node.outputs else None
        if node.op not in ("Reshape", "Squeeze") or shape is None:
            continue
        node.op, node.inputs, node.attrs = "Reshape", node.inputs[:1], {"shape": shape}
        follower = edit.only_reader(node)
        if follower is not None and follower.op in ("Reshape", "Squeeze"):
            edit.redirect([follower], node.outputs[0], node.inputs[0])
            edit.remove(node)
    return edit.finish()
