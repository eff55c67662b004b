"""uint8 quantization → int8, exactly: every value and zero point less 128 stands for the same real number.

TensorFlow's first quantized models are uint8, weights too, with a zero point. Their kernels compute what
the int8 kernels compute but for a few roundings; nodes for which that matters get the attribute `unsigned`.
The graph's own inputs and outputs stay uint8.
"""

from __future__ import annotations

import numpy as np

from harness.graph import OPTIONAL, Graph, Node, Quantization, Tensor

_CONVERSIONS = ("Quantize", "Dequantize")  # read and write uint8 as it is
_ROUNDED_OTHERWISE = ("Conv2D", "DepthwiseConv2D", "AveragePool2D", "Concatenation", "Mean", "ResizeBilinear")


def to_int8(graph: Graph) -> None:
    """Makes uint8 quantized tensors int8, in place."""
    unsigned = {name for name, t in graph.tensors.items() if t.dtype == np.uint8 and t.quant is not None}
    if not unsigned:
        return
    for node in graph.nodes:
        if node.op in _ROUNDED_OTHERWISE and node.outputs[0] in unsigned:
            node.attrs["unsigned"] = True
    for name in unsigned & {*graph.inputs, *graph.outputs}:
        _keep_edge(graph, graph.tensors[name])
    for name in unsigned - {*graph.inputs, *graph.outputs}:
        _shift(graph.tensors[name])


def _shift(tensor: Tensor) -> None:
    tensor.dtype, tensor.quant = np.dtype(np.int8), _shifted(tensor.quant)
    if tensor.is_const:
        tensor.data = (tensor.data ^ 0x80).view(np.int8)


def _shifted(quant: Quantization) -> Quantization:
    return Quantization(quant.scale, quant.zero_point - 128, quant.axis)


def _keep_edge(graph: Graph, tensor: Tensor) -> None:
    """Leaves a graph input or output as it is; all but conversions use an int8 one behind or before it."""
    name = tensor.name
    producer = graph.producers().get(name)
    readers = [node for node in graph.consumers()[name] if node.op not in _CONVERSIONS]
    from_inside = producer is not None and producer.op not in _CONVERSIONS
    if not readers and not from_inside:
        return
    inner = graph.unique_name(f"{name}/int8")
    graph.tensors[inner] = Tensor(inner, tensor.shape, np.dtype(np.int8), None, _shifted(tensor.quant))
    for node in readers:
        node.inputs = [inner if n == name and n != OPTIONAL else n for n in node.inputs]
    ends = [inner, name] if from_inside else [name, inner]
    if from_inside:
        producer.outputs = [inner if n == name else n for n in producer.outputs]
    graph.nodes.append(Node("Quantize", graph.unique_name(f"{name}/convert"), ends[:1], ends[1:]))
