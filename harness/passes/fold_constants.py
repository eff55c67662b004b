"""fold_constants: compute now what does not depend on the input.

    Before                                       After

    weights (HWIO) ── Transpose ──┐              weights (OHWI) ──┐
    input ──────────────────── Conv2D            input ──────── Conv2D

Conditions: every input of the node is a constant and nothing it touches is quantized; its output is not a
graph output; it is not Quantize or Dequantize, which change the representation and not the value, nor a
resize; the result has at most MAX_ELEMENTS. The value is what the op's NumPy reference computes. Weights that
are only laid out anew, and that no other node reads, keep their name.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from harness.graph import Graph, Node
from harness.ops import OPS, infer_shapes, run_reference
from harness.passes._edit import Editor

MAX_ELEMENTS = 2**27  # a hostile graph must not grow a few bytes into all the memory
REPRESENTATION = {"Quantize", "Dequantize"}
# Whose steps in between may be far larger than what comes out.
RESIZING = {"ResizeBilinear", "FusedResizeAndPadConv2D"}
NEVER = REPRESENTATION | RESIZING
LAYOUT = {"Transpose", "Reshape", "Squeeze"}


def run(graph: Graph, clear_output_shapes: bool = True) -> Graph:
    """clear_output_shapes: also drop notes of output shapes, which TensorFlow keeps in an attribute."""
    edit = Editor(graph)
    for node in edit.graph.nodes if clear_output_shapes else ():
        node.attrs.pop("_output_shapes", None)
    for node in edit.nodes():
        if _is_constant(edit.graph, node):
            _evaluate(edit, node)
    return edit.finish()


def _is_constant(graph: Graph, node: Node) -> bool:
    if node.op not in OPS or node.op in NEVER or not node.inputs or set(node.outputs) & set(graph.outputs):
        return False
    if any(name not in graph.tensors or graph.tensors[name].quant for name in (*node.inputs, *node.outputs)):
        return False
    return all(graph.tensors[name].is_const for name in node.inputs)


def _evaluate(edit: Editor, node: Node) -> None:
    tensors = {name: edit.graph.tensors[name] for name in (*node.inputs, *node.outputs)}
    alone = infer_shapes(Graph(edit.graph.name, tensors, [node], outputs=node.outputs))
    if any(math.prod(tensors[name].shape) > MAX_ELEMENTS for name in node.outputs):
        return
    with np.errstate(all="ignore"):  # the network would compute the same infinities
        values = run_reference(alone, {})
    for name, value in values.items():
        tensors[name].data = np.ascontiguousarray(value).reshape(value.shape)
        tensors[name].shape, tensors[name].dtype = value.shape, value.dtype
    if node.op in LAYOUT:
        _keep_name(edit, node)
    edit.remove(node)


def _keep_name(edit: Editor, node: Node) -> None:
    """The constant that `node` lays out anew goes on under its own name, unless something else needs it."""
    before, after = node.inputs[0], node.outputs[0]
    if edit.readers(before) == [node] and before not in edit.graph.outputs:
        edit.graph.tensors[before] = replace(edit.graph.tensors[after], name=before)
        edit.redirect(edit.readers(after), after, before)
