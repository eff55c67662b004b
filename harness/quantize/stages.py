"""The three stages in which a float graph becomes an int8 graph, as rewrites of its structure.

    float               x f32 ─ A f32 ─ B f32 ─ y f32

    1 around each op    x f32 ─ Quantize ─ A int8 ─ Dequantize ─ Quantize ─ B int8 ─ Dequantize ─ y f32
    2 without pairs     x f32 ─ Quantize ─ A int8 ─────────────────────── B int8 ─ Dequantize ─ y f32
    3 integer edges     x int8 ────────── A int8 ─────────────────────── B int8 ──────────── y int8

(Warden, "How to Quantize Neural Networks with TensorFlow", 2016.) An int8 value that is dequantized and
quantized again by the same scale and zero point is itself, so all three compute the same int8 values.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.graph import Graph, Node, Quantization, Tensor

AROUND_EACH_OP, WITHOUT_PAIRS, INTEGER_EDGES = 1, 2, 3
STAGES = (AROUND_EACH_OP, WITHOUT_PAIRS, INTEGER_EDGES)
INT8 = np.dtype(np.int8)


def around_each_op(graph: Graph, nodes: list[Node], quants: Mapping[str, Quantization]) -> None:
    """Stage 1: each of `nodes` reads and writes int8 between conversions of its own.

    quants: of every activation that these nodes read or write. Constants are the caller's to quantize.
    """
    chosen = {id(node) for node in nodes}
    rewritten: list[Node] = []
    for node in graph.nodes:
        if id(node) not in chosen:
            rewritten.append(node)
            continue
        read = [name for name in dict.fromkeys(node.inputs) if name in quants]
        inputs = {name: _int8_twin(graph, name, quants[name]) for name in read}
        outputs = {name: _int8_twin(graph, name, quants[name]) for name in node.outputs}
        rewritten += [_conversion(graph, "Quantize", name, twin) for name, twin in inputs.items()]
        rewritten.append(node)
        rewritten += [_conversion(graph, "Dequantize", twin, name) for name, twin in outputs.items()]
        node.inputs = [inputs.get(name, name) for name in node.inputs]
        node.outputs = [outputs[name] for name in node.outputs]
    graph.nodes = rewritten


def _int8_twin(graph: Graph, name: str, quant: Quantization) -> str:
    twin = graph.unique_name(f"{name}/int8")
    graph.tensors[twin] = Tensor(twin, graph.tensors[name].shape, INT8, None, quant)
    return twin


def _conversion(graph: Graph, op: str, source: str, target: str) -> Node:
    return Node(op, graph.unique_name(f"{target}/{op.lower()}"), [source], [target])


def remove_pairs(graph: Graph) -> None:
    """Stage 2: takes out each Quantize that undoes a Dequantize, then each Dequantize that nobody reads."""
    writers = graph.producers()
    same: dict[str, str] = {}  # what a Quantize wrote → the int8 value that was there before
    for node in graph.execution_order():
        before = writers.get(node.inputs[0]) if node.op == "Quantize" else None
        if before is None or before.op != "Dequantize" or node.outputs[0] in graph.outputs:
            continue
        source = before.inputs[0]
        if _equal(graph.tensors[source].quant, graph.tensors[node.outputs[0]].quant):
            same[node.outputs[0]] = same.get(source, source)
    _read_instead(graph, same)
    _drop_unread(graph)


def _drop_unread(graph: Graph) -> None:
    """Takes out each Dequantize that nobody reads; its input takes over the name that becomes free."""
    readers = graph.consumers()
    unread = [
        node
        for node in graph.nodes
        if node.op == "Dequantize" and not readers[node.outputs[0]] and node.outputs[0] not in graph.outputs
    ]
    _join(graph, unread)


def make_edges_integer(graph: Graph) -> None:
    """Stage 3: graph inputs that are only quantized become int8, and so do outputs just dequantized."""
    readers, writers = graph.consumers(), graph.producers()
    same: dict[str, str] = {}
    for name in graph.inputs:
        quants = [graph.tensors[node.outputs[0]].quant for node in readers[name] if node.op == "Quantize"]
        whole = quants and len(quants) == len(readers[name]) and name not in graph.outputs
        if whole and all(_equal(quant, quants[0]) for quant in quants):
            graph.tensors[name].dtype, graph.tensors[name].quant = INT8, quants[0]
            same |= {node.outputs[0]: name for node in readers[name]}
    _read_instead(graph, same)
    last = [writers[name] for name in graph.outputs if name in writers and not readers[name]]
    _join(graph, [node for node in last if node.op == "Dequantize"])


def _read_instead(graph: Graph, same: Mapping[str, str]) -> None:
    """Takes out the nodes that write the keys of `same`; their readers read the values instead."""
    graph.nodes = [node for node in graph.nodes if not same.keys() & set(node.outputs)]
    for node in graph.nodes:
        node.inputs = [same.get(name, name) for name in node.inputs]
    graph.drop_unused_tensors()


def _join(graph: Graph, dequantizers: list[Node]) -> None:
    """Takes out these nodes; what they read is from now on called what they wrote."""
    fixed = {*graph.inputs, *graph.outputs}
    joined = {node.inputs[0]: node for node in dequantizers if node.inputs[0] not in fixed}
    names = {old: node.outputs[0] for old, node in joined.items()}
    gone = {id(node) for node in joined.values()}
    graph.nodes = [node for node in graph.nodes if id(node) not in gone]
    for node in graph.nodes:
        node.inputs = [names.get(name, name) for name in node.inputs]
        node.outputs = [names.get(name, name) for name in node.outputs]
    for old, new in names.items():
        graph.tensors[new] = graph.tensors.pop(old)
        graph.tensors[new].name = new


def _equal(a: Quantization, b: Quantization) -> bool:
    return (
        a.axis == b.axis and np.array_equal(a.scale, b.scale) and np.array_equal(a.zero_point, b.zero_point)
    )
