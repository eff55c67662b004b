"""What a graph computes of its own shapes: sizes, axes and the like, which are known without an input.

Converters write them as ops on small integers, between a tensor's shape and the op that is told a size.
"""

from __future__ import annotations

import math

import numpy as np

from harness.graph import OPTIONAL, Graph, Node
from harness.ops import OPS, infer_shapes, run_reference

MAX_ELEMENTS = 1024  # sizes and axes are few; what is larger is data, and stays as it is written
REPRESENTATION = {"Quantize", "Dequantize"}


def settled(graph: Graph, nodes: list[Node]) -> list[Node]:
    """Of these nodes, which come next in the graph, those left to run; the others' outputs become constants.

    Infers the shapes of what they write, as far as they are known. Raises FormatError naming a node whose
    inputs do not fit.
    """
    left = []
    for node in nodes:
        names = [name for name in (*node.inputs, *node.outputs) if name != OPTIONAL]
        alone = Graph(graph.name, {name: graph.tensors[name] for name in names}, [node], outputs=node.outputs)
        infer_shapes(alone, partial=True)
        if not _is_known(alone, node):
            left.append(node)
            continue
        with np.errstate(all="ignore"):
            values = run_reference(alone, {})
        for name, value in values.items():
            tensor = graph.tensors[name]
            tensor.data = np.ascontiguousarray(value, tensor.dtype).reshape(tensor.shape)
    return left


def _is_known(graph: Graph, node: Node) -> bool:
    """Whether the graph's one node makes small constants of small constants, none of them quantized."""
    if node.op not in OPS or node.op in REPRESENTATION or not any(node.inputs):
        return False
    tensors = graph.tensors.values()
    if any(t.quant is not None or t.is_variable or t.shape is None for t in tensors):
        return False
    if any(math.prod(t.shape) > MAX_ELEMENTS for t in tensors):
        return False
    return all(graph.tensors[name].is_const for name in node.inputs if name != OPTIONAL)
