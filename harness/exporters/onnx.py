"""Graph → .onnx (opset 17), float or quantized in the QDQ form.

ONNX convolves channels first, the IR channels last. A value therefore may exist in several *forms*, each the
IR's value with its axes permuted; an op asks for the form it computes in, and a Transpose is written only
where no node has produced that form. So a network is channels first from its first convolution on, and turned
back where the layout matters: at its outputs, or before a Reshape. Constants are permuted here.

Quantized networks keep their bytes: an int8 tensor is stored between QuantizeLinear and DequantizeLinear
(QDQ), which runtimes fuse into integer kernels; weights and int32 biases are behind a DequantizeLinear, per
tensor or per channel. Inputs and outputs keep name, shape and dtype.
"""

from __future__ import annotations

from harness.errors import FormatError, UsageError
from harness.exporters._fused_resize import split
from harness.exporters.onnx_ops import OPS, add_activation
from harness.exporters.onnx_writer import Writer
from harness.graph import Graph

MAX_BYTES = 2**31 - 1  # what a protobuf can hold


def write(graph: Graph) -> bytes:
    """The ONNX model of a graph with inferred shapes, checked by onnx.checker.

    Raises FormatError naming the node or tensor that ONNX has no form for, UsageError where the package
    `onnx` is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise UsageError("writing a .onnx needs the package onnx: pip install 'quantbench[onnx]'") from error
    if sum(t.nbytes for t in graph.tensors.values() if t.is_const) > MAX_BYTES:
        raise FormatError(f"graph '{graph.name}' holds more than the 2 GiB that a .onnx can")
    graph = split(graph)
    writer = Writer(graph)
    for node in graph.execution_order():
        if node.op not in OPS:
            raise FormatError(f"node '{node.name}' ({node.op}): a .onnx has no form for this op")
        last, form = OPS[node.op](writer, node)
        writer.finish(node, add_activation(writer, node, last), form)
    return writer.content(onnx)
