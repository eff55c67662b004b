"""Graph → frozen GraphDef (.pb) in TensorFlow's ops and layouts, with TensorBoard's protobufs.

A node of the IR becomes a chain of TensorFlow ops, whose last carries the name of the tensor that the node
writes; a fused bias is a BiasAdd, a fused activation a Relu or Relu6. Constants turn to TensorFlow's layout:

    Conv2D OHWI → HWIO    DepthwiseConv2D 1HWC → HWCM    FullyConnected (out, in) → MatMul with transpose_b

int8 weights stay int8: a Const of qint8 behind a Dequantize in mode SCALED, as TensorFlow's own
quantize_weights leaves one of quint8. int8 activations have no such form. Characters that TensorFlow allows
in no name become "_". Attributes that have the default of TensorFlow's op definition are left out: it fills
them in when it loads the file.
"""

from __future__ import annotations

from harness.errors import FormatError
from harness.exporters.graphdef_ops import OPS, absorbed, add_activation
from harness.exporters.graphdef_writer import Writer
from harness.graph import Graph

MAX_BYTES = 2**31 - 1  # what a protobuf can hold


def write(graph: Graph) -> bytes:
    """The GraphDef of a float graph with inferred shapes; weights may be int8.

    Raises FormatError naming the node or tensor that TensorFlow has no form for, UsageError where
    TensorBoard's protobufs are not installed.
    """
    for name in (*graph.inputs, *(output for node in graph.nodes for output in node.outputs)):
        if graph.tensors[name].quant is not None:
            raise FormatError(
                f"tensor '{name}' is quantized: a .pb holds float activations; "
                "write a quantized network as .tflite, .onnx or .qbm"
            )
    if sum(t.nbytes for t in graph.tensors.values() if t.is_const) > MAX_BYTES:
        raise FormatError(f"graph '{graph.name}' holds more than the 2 GiB that a .pb can")
    writer = Writer(graph)
    skipped = absorbed(graph)
    for node in graph.execution_order():
        if node.name in skipped:
            continue
        if node.op not in OPS:
            raise FormatError(f"node '{node.name}' ({node.op}): a .pb has no form for this op")
        writer.finish(node, add_activation(writer, node, OPS[node.op](writer, node)))
    return writer.content()
