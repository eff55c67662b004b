"""remove_nodes: take out ops that hand their first input on unchanged.

    Before                          After

    A ── Identity ── B              A ── B
               └──── C               └── C

    A ── Identity ── output         A ── output      (A now writes under the output's name)

Condition: the op is one of `op`, and it is not what stands between a graph output and a graph input, a
constant or another graph output: there its output's name would be lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.graph import Graph, Node
from harness.passes._edit import Editor

PASSED_THROUGH = ("Identity", "CheckNumerics", "StopGradient", "PlaceholderWithDefault")


def run(graph: Graph, op: Sequence[str] = PASSED_THROUGH) -> Graph:
    """op: the ops to remove; whether they change nothing is the caller's knowledge."""
    edit = Editor(graph)
    for node in edit.nodes():
        if node.op in op and len(node.outputs) == 1:
            _bypass(edit, node)
    return edit.finish()


def _bypass(edit: Editor, node: Node) -> None:
    graph, x, y = edit.graph, node.inputs[0], node.outputs[0]
    if y not in graph.outputs:
        edit.redirect(edit.readers(y), y, x)
        edit.remove(node)
        return
    producer = next((other for other in edit.nodes() if x in other.outputs), None)
    if producer is None or x in graph.outputs:
        return
    edit.remove(node)
    edit.redirect(edit.readers(x), x, y)
    producer.outputs = [y if name == x else name for name in producer.outputs]
    graph.tensors[y] = replace(graph.tensors[x], name=y)
