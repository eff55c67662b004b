"""Graph → .tflite, which LiteRT runs and Netron shows.

What we quantize can so be run by the TFLite reference kernels and compared to the byte. Weights keep the
layouts of the IR, which are TFLite's; float16 weights are read through a DEQUANTIZE. A padding that is
neither SAME nor VALID becomes a PAD before the op.
"""

from __future__ import annotations

import flatbuffers
import numpy as np
import tflite

from harness.errors import FormatError
from harness.exporters._fused_resize import split
from harness.exporters.tflite_forms import FORMS, Form
from harness.exporters.tflite_inputs import with_inputs
from harness.graph import OPTIONAL, Graph, Node, Tensor
from harness.quantize import float16

_TYPES = {
    "float32": tflite.TensorType.FLOAT32,
    "float16": tflite.TensorType.FLOAT16,
    "int8": tflite.TensorType.INT8,
    "uint8": tflite.TensorType.UINT8,
    "int16": tflite.TensorType.INT16,
    "int32": tflite.TensorType.INT32,
    "int64": tflite.TensorType.INT64,
    "bool": tflite.TensorType.BOOL,
}


def write(graph: Graph) -> bytes:
    """The .tflite file of a graph with inferred shapes.

    Raises FormatError naming the node or tensor that TFLite has no form for.
    """
    for node in graph.nodes:
        if node.attrs.get("unsigned"):
            raise FormatError(
                f"node '{node.name}' ({node.op}) comes from a uint8 model, which TFLite's int8 kernels would "
                "round otherwise: use the file that it was read from"
            )
    return _Writer(with_inputs(split(float16.through_dequantize(graph)))).file()


class _Writer:
    """Builds the flatbuffer from its leaves to its root."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.builder = flatbuffers.Builder(1 << 16)
        self.names = [name for name in self.graph.tensors if name != OPTIONAL]
        self.index = {name: i for i, name in enumerate(self.names)} | {OPTIONAL: -1}
        self.buffers = [self._buffer(None)]  # buffer 0 stands for "no data"

    def file(self) -> bytes:
        codes = list(dict.fromkeys(self._op(node).builtin for node in self.graph.nodes))
        versions = {entry.builtin: entry.version for entry in FORMS.values()}
        self.tensors = [self._tensor(self.graph.tensors[name]) for name in self.names]
        operators = [self._operator(node, codes) for node in self.graph.nodes]
        subgraph = self._table(
            "SubGraph",
            Name=self.builder.CreateString(self.graph.name),
            Tensors=self._offsets(self.tensors),
            Inputs=self._ints(self.index[n] for n in self.graph.inputs),
            Outputs=self._ints(self.index[n] for n in self.graph.outputs),
            Operators=self._offsets(operators),
        )
        model = self._table(
            "Model",
            Version=3,
            Description=self.builder.CreateString("quantbench"),
            OperatorCodes=self._offsets([self._operator_code(code, versions[code]) for code in codes]),
            Subgraphs=self._offsets([subgraph]),
            Buffers=self._offsets(self.buffers),
        )
        self.builder.Finish(model, b"TFL3")
        return bytes(self.builder.Output())

    def _op(self, node: Node) -> Form:
        if node.op not in FORMS:
            raise FormatError(f"node '{node.name}' ({node.op}): TFLite has no such op")
        return FORMS[node.op]

    def _operator_code(self, builtin: str, version: int) -> int:
        code = getattr(tflite.BuiltinOperator, builtin)
        old = min(code, tflite.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)  # a field of 8 bits
        return self._table("OperatorCode", DeprecatedBuiltinCode=old, BuiltinCode=code, Version=version)

    def _operator(self, node: Node, codes: list[str]) -> int:
        entry = self._op(node)
        fields = {
            "OpcodeIndex": codes.index(entry.builtin),
            "Inputs": self._ints(self.index[n] for n in node.inputs),
            "Outputs": self._ints(self.index[n] for n in node.outputs),
        }
        if node.op == "UnidirectionalSequenceLstm" and self.graph.tensors[node.outputs[0]].quant is not None:
            fields["Intermediates"] = self._ints(self._intermediates(node))
        if entry.options:
            fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, entry.options)
            fields["BuiltinOptions"] = self._table(entry.options, **entry.fill(self.graph, node))
        return self._table("Operator", **fields)

    def _intermediates(self, node: Node) -> range:
        """Adds the tensors that an int8 LSTM has for the quantizations of its gates and of o·act(c)."""
        first, out = len(self.tensors), self.graph.tensors[node.outputs[0]]
        for i in range(5):
            like = Tensor(f"{node.name}/intermediate{i}", (), out.dtype, None, out.quant)
            self.tensors.append(self._tensor(like))
        return range(first, first + 5)

    def _tensor(self, tensor: Tensor) -> int:
        if str(tensor.dtype) not in _TYPES:
            raise FormatError(f"tensor '{tensor.name}': TFLite export has no dtype {tensor.dtype}")
        fields = {
            "Name": self.builder.CreateString(tensor.name),
            "Shape": self._ints(tensor.shape),
            "Type": _TYPES[str(tensor.dtype)],
            "Buffer": 0,
        }
        if tensor.is_variable:
            fields["IsVariable"] = True
        if tensor.is_const:
            self.buffers.append(self._buffer(tensor.data))
            fields["Buffer"] = len(self.buffers) - 1
        if tensor.quant is not None:
            fields["Quantization"] = self._table(
                "QuantizationParameters",
                Scale=self.builder.CreateNumpyVector(tensor.quant.scale),
                ZeroPoint=self.builder.CreateNumpyVector(tensor.quant.zero_point.astype(np.int64)),
                QuantizedDimension=tensor.quant.axis or 0,
            )
        return self._table("Tensor", **fields)

    def _buffer(self, data: np.ndarray | None) -> int:
        if data is None:
            return self._table("Buffer")
        raw = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        return self._table("Buffer", Data=self._aligned_bytes(raw))

    def _aligned_bytes(self, raw: np.ndarray) -> int:
        """A byte vector whose first element is 16-byte aligned, as the schema asks (force_align: 16)."""
        self.builder.StartVector(1, len(raw), 16)
        self.builder.head -= len(raw)
        self.builder.Bytes[self.builder.head : self.builder.head + len(raw)] = raw.tobytes()
        return self.builder.EndVector()

    def _table(self, kind: str, **fields: object) -> int:
        """One table of the schema: kindStart, kindAddField…, kindEnd."""
        getattr(tflite, f"{kind}Start")(self.builder)
        for name, value in fields.items():
            getattr(tflite, f"{kind}Add{name}")(self.builder, value)
        return getattr(tflite, f"{kind}End")(self.builder)

    def _ints(self, values) -> int:
        return self.builder.CreateNumpyVector(np.array(list(values), np.int32))

    def _offsets(self, values: list[int]) -> int:
        self.builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self.builder.PrependUOffsetTRelative(value)
        return self.builder.EndVector()
