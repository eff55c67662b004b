"""merge_duplicate_nodes: what is computed or stored twice is computed or stored once.

    Before                          After

    x ── Relu ── A                  x ── Relu ── A
    x ── Relu ── B                         └──── B

    constant c ── A                 constant c ── A
    constant d ── B                          └──── B      (d holds the same values as c)

Conditions: the nodes have the same op, inputs and attributes, and the op is one whose result depends on
nothing else; constants agree in type, shape, quantization and every bit. Of two graph outputs both stay.
"""

from __future__ import annotations

import hashlib

import numpy as np

from harness.graph import Graph, Node, Tensor
from harness.ops import OPS
from harness.passes._edit import Editor


def run(graph: Graph) -> Graph:
    edit = Editor(graph)
    _merge_constants(edit)
    first: dict[tuple, Node] = {}
    for node in edit.nodes():
        if node.op not in OPS or len(node.outputs) != 1:
            continue
        other = first.setdefault(_key(edit.graph, node), node)
        if other is node:
            continue
        kept, gone = (node, other) if node.outputs[0] in edit.graph.outputs else (other, node)
        if gone.outputs[0] in edit.graph.outputs:
            continue
        edit.redirect(edit.readers(gone.outputs[0]), gone.outputs[0], kept.outputs[0])
        edit.remove(gone)
        first[_key(edit.graph, node)] = kept
    return edit.finish()


def _key(graph: Graph, node: Node) -> tuple:
    attrs = {**OPS[node.op].defaults, **node.attrs}
    out = graph.tensors[node.outputs[0]]
    return node.op, tuple(node.inputs), repr(sorted(attrs.items())), str(out.dtype), _quant_key(out)


def _quant_key(tensor: Tensor) -> tuple | None:
    quant = tensor.quant
    return quant and (quant.scale.tobytes(), quant.zero_point.tobytes(), quant.axis)


def _merge_constants(edit: Editor) -> None:
    """Readers of equal constants all read the first; only those that agree in type and shape are hashed."""
    graph = edit.graph
    alike: dict[tuple, list[str]] = {}
    for name, tensor in graph.tensors.items():
        if tensor.is_const and name not in graph.outputs and name not in graph.inputs:
            alike.setdefault((str(tensor.dtype), tensor.shape, _quant_key(tensor)), []).append(name)
    for names in alike.values():
        first: dict[bytes, str] = {}
        for name in names if len(names) > 1 else ():
            data = np.ascontiguousarray(graph.tensors[name].data)
            kept = first.setdefault(hashlib.sha256(data).digest(), name)
            if kept != name:
                edit.redirect(edit.readers(name), name, kept)
