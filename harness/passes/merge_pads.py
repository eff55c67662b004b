"""merge_pads: paddings one after the other are one, and one of no pixels is none.

    Before                                       After

    x ── Pad(a) ── Pad(b) ── y                   x ── Pad(a + b) ── y

    x ── Pad(0) ── y                             x ── y

Conditions: the paddings are constants, both fill with the same value, values are float.
"""

from __future__ import annotations

from harness.graph import Graph, Node
from harness.passes._edit import Editor


def run(graph: Graph) -> Graph:
    edit = Editor(graph)
    for node in edit.nodes():
        if node.op != "Pad" or not edit.is_float(node.inputs[0], *node.outputs):
            continue
        if edit.graph.const(node.inputs[1]) is None:
            continue
        _join(edit, node)
        if not edit.graph.const(node.inputs[1]).any():
            edit.bypass(node)
    return edit.finish()


def _join(edit: Editor, node: Node) -> None:
    producer = edit.producer(node.inputs[0])
    if producer is None or producer.op != "Pad" or not edit.is_float(producer.inputs[0]):
        return
    first, second = (edit.graph.const(n.inputs[1]) for n in (producer, node))
    same_value = producer.attrs.get("value", 0.0) == node.attrs.get("value", 0.0)
    if first is not None and first.shape == second.shape and same_value:
        edit.set_const(node, 1, first + second, node.inputs[1])
        edit.skip(node, producer)
