"""strip_unused_nodes: keep only what the outputs depend on.

    Before                          After

    input ── A ── B ── output       input ── A ── B ── output
              └── C ── D
    keep_prob ─────┘

Condition: no path leads from the node to a graph output. Inputs and constants that nobody reads go too.
An input whose shape the file does not say gets `shape` and `type`, or what is given for its name.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.errors import UsageError, unknown_name
from harness.graph import Graph, Node

TYPES = {"float": np.float32, "quint8": np.uint8, "qint8": np.int8}  # TensorFlow's names that NumPy lacks


def run(
    graph: Graph,
    type: str = "float",  # noqa: A002 - the name in the language of transforms
    shape: tuple[int, ...] | None = None,
    name: Sequence[str] = (),
    type_for_name: Sequence[str] = (),
    shape_for_name: Sequence[tuple[int, ...]] = (),
) -> Graph:
    """type, shape: of inputs that do not state a shape. name: inputs with a type and a shape of their own, in
    the order of `type_for_name` and `shape_for_name`. Raises UsageError for lists of unequal length, a name
    that is no input and an unknown type.
    """
    graph = graph.clone()
    for kind, values in (("type_for_name", type_for_name), ("shape_for_name", shape_for_name)):
        if values and len(values) != len(name):
            raise UsageError(f"strip_unused_nodes: {len(name)} times name but {len(values)} times {kind}")
    for other in name:
        if other not in graph.inputs:
            raise unknown_name("input of the graph", other, graph.inputs)
    types = dict(zip(name, type_for_name, strict=False))
    shapes = dict(zip(name, shape_for_name, strict=False))
    for tensor in (graph.tensors[other] for other in graph.inputs):
        if tensor.shape is None:
            tensor.shape = shapes.get(tensor.name, shape)
            tensor.dtype = _dtype(types.get(tensor.name, type))
    graph.nodes = live_nodes(graph)
    read = {name for node in graph.nodes for name in node.inputs} | set(graph.outputs)
    graph.inputs = [name for name in graph.inputs if name in read]
    graph.drop_unused_tensors()
    return graph


def _dtype(text: str) -> np.dtype:
    if text not in TYPES and text not in np.sctypeDict:
        raise unknown_name(
            "type", text, [*TYPES, "float32", "float64", "int8", "int32", "int64", "uint8", "bool"]
        )
    return np.dtype(TYPES.get(text, text))


def live_nodes(graph: Graph) -> list[Node]:
    """The nodes that some graph output depends on, in the graph's own order."""
    producers = graph.producers()
    live: set[str] = set()
    stack = list(graph.outputs)
    while stack:
        node = producers.get(stack.pop())
        if node is not None and node.name not in live:
            live.add(node.name)
            stack += node.inputs
    return [node for node in graph.nodes if node.name in live]
