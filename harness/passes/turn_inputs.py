"""turn_inputs: a network that turns its images channels last at once takes them so.

    Before                                                     After

    x (1, 3, 8, 8) ── Transpose(0, 2, 3, 1) ── Conv2D ── y     x (1, 8, 8, 3) ── Conv2D ── y

Not in the default list, since the network's input changes: images of a data set are channels last, as a file
of decoded pixels is, so what runs on them has no need to turn them on the device.

Conditions: the input has rank 4, is not an output too, and all that reads it are such Transposes.
"""

from __future__ import annotations

from dataclasses import replace

from harness.graph import Graph, Node
from harness.passes._edit import Editor

CHANNELS_LAST = [0, 2, 3, 1]


def run(graph: Graph) -> Graph:
    edit = Editor(graph)
    for name in edit.graph.inputs:
        readers, tensor = edit.readers(name), edit.graph.tensors[name]
        if not readers or name in edit.graph.outputs or not all(_turns(edit, node) for node in readers):
            continue
        if any(node.outputs[0] in edit.graph.outputs for node in readers):
            continue
        for node in readers:
            edit.redirect(edit.readers(node.outputs[0]), node.outputs[0], name)
            edit.remove(node)
        edit.graph.tensors[name] = replace(tensor, shape=tuple(tensor.shape[axis] for axis in CHANNELS_LAST))
    return edit.finish()


def _turns(edit: Editor, node: Node) -> bool:
    perm = edit.graph.const(node.inputs[1]) if node.op == "Transpose" else None
    return perm is not None and perm.tolist() == CHANNELS_LAST
