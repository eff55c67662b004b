"""Float16 weights: half the file, each weight rounded to eleven significant binary digits.

before   x f32 ── Conv2D(w f32, b f32) ── y f32
after    x f32 ── Conv2D(w f16, b f16) ── y f32        a layer reads its weights as they are stored

before   x f32 ── Gather(table f32) ── y f32
after    table f16 ── Dequantize ── Gather ── y f32    other ops' large constants are expanded at load

Formula:  q = the float16 (IEEE 754 binary16) nearest to w, ties to even

A constant with a value that rounds beyond ±65504, the largest float16, or that is not finite, stays float32.
Values under 2^-14 become subnormal numbers, multiples of 2^-24, and those up to 2^-25 become 0.
"""

from __future__ import annotations

import numpy as np

from harness.graph import Graph, Node, Tensor
from harness.quantize.weights import CHANNEL_AXIS

F16 = np.dtype(np.float16)
MINIMUM_SIZE = 1024  # elements of a constant that is worth a node which expands it


def convert(graph: Graph) -> Graph:
    """The graph with its weights, the biases beside them, and its large float constants as float16."""
    graph = graph.clone()
    stored: dict[str, str] = {}  # float constant → its float16 twin, for layers that share one
    for node in graph.nodes:
        if node.op in CHANNEL_AXIS:
            _convert_layer(graph, node, stored)
    graph.drop_unused_tensors()
    found = ((name, _halves(graph, name)) for name in graph.tensors)
    large = {name: halves for name, halves in found if halves is not None and halves.size >= MINIMUM_SIZE}
    _read_through_dequantize(graph, large)
    return graph.verify()


def through_dequantize(graph: Graph) -> Graph:
    """The same values in the form that TFLite has: layers read float16 weights through a Dequantize."""
    graph = graph.clone()
    read = {name for node in graph.nodes if node.op != "Dequantize" for name in node.inputs}
    halves = {name: t.data for name, t in graph.tensors.items() if name in read and t.dtype == F16}
    _read_through_dequantize(graph, halves)
    return graph.verify()


def _read_through_dequantize(graph: Graph, constants: dict[str, np.ndarray]) -> None:
    """Makes each of these constants the output of a Dequantize of its float16 values; its readers stay."""
    nodes = []
    for name, halves in constants.items():
        stored = graph.add_const(f"{name}/float16", halves)
        graph.tensors[name] = Tensor(name, halves.shape, np.dtype(np.float32))
        nodes.append(Node("Dequantize", graph.unique_name(f"{name}/dequantize"), [stored], [name]))
    graph.nodes[:0] = nodes


def _convert_layer(graph: Graph, node: Node, stored: dict[str, str]) -> None:
    """The weights of a float layer, and with them its bias."""
    for i, name in enumerate(node.inputs[1:], 1):
        if name not in stored:
            halves = _halves(graph, name)
            if halves is None:
                return
            stored[name] = graph.add_const(f"{name}/float16", halves)
        node.inputs[i] = stored[name]


def _halves(graph: Graph, name: str) -> np.ndarray | None:
    """A float constant as float16; None where it is none or does not fit."""
    values = graph.const(name)
    if values is None or values.dtype != np.float32 or name in graph.outputs:
        return None
    with np.errstate(over="ignore"):
        halves = values.astype(F16)
    return halves if np.isfinite(halves).all() else None
