"""Writes a .tflite of one subgraph with the schema's bindings: tensors and operators as they are listed."""

from __future__ import annotations

import flatbuffers
import numpy as np
import tflite

from harness.graph import Quantization

_TYPES = {
    "float32": "FLOAT32",
    "float16": "FLOAT16",
    "int8": "INT8",
    "uint8": "UINT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "bool": "BOOL",
}


class ModelFile:
    """A model in the making. Tensors are known by their index."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1 << 16)
        self.buffers = [self._table("Buffer")]  # buffer 0 stands for "no data"
        self.tensors: list[int] = []
        self.operators: list[int] = []
        self.codes: list[str] = []

    def tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: np.dtype,
        data: np.ndarray | None = None,
        quant: Quantization | None = None,
        variable: bool = False,
        signature: tuple[int, ...] | None = None,
    ) -> int:
        """Adds a tensor, a constant where it has data, and returns its index. signature: −1 is open."""
        fields = {
            "Name": self.builder.CreateString(name),
            "Shape": self._vector(shape, np.int32),
            "Type": getattr(tflite.TensorType, _TYPES[str(np.dtype(dtype))]),
            "Buffer": 0 if data is None else self._buffer(np.asarray(data, dtype)),
            "IsVariable": variable,
        }
        if signature is not None:
            fields["ShapeSignature"] = self._vector(signature, np.int32)
        if quant is not None:
            fields["Quantization"] = self._table(
                "QuantizationParameters",
                Scale=self._vector(quant.scale, np.float32),
                ZeroPoint=self._vector(quant.zero_point, np.int64),
                QuantizedDimension=quant.axis or 0,
            )
        self.tensors.append(self._table("Tensor", **fields))
        return len(self.tensors) - 1

    def operator(
        self,
        op: str,
        inputs: list[int],
        outputs: list[int],
        kind: str | None,
        options: dict,
        intermediates: list[int] | None = None,
    ) -> None:
        """Adds an operator; `options` are fields of the options table `kind`, lists of ints among them."""
        if op not in self.codes:
            self.codes.append(op)
        fields = {
            "OpcodeIndex": self.codes.index(op),
            "Inputs": self._vector(inputs, np.int32),
            "Outputs": self._vector(outputs, np.int32),
        }
        if intermediates is not None:
            fields["Intermediates"] = self._vector(intermediates, np.int32)
        if kind is not None:
            vectors = {
                name: self._vector(value, np.int32)
                for name, value in options.items()
                if isinstance(value, (list, tuple))
            }
            fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, kind)
            fields["BuiltinOptions"] = self._table(kind, **options | vectors)
        self.operators.append(self._table("Operator", **fields))

    def content(self, inputs: list[int], outputs: list[int], versions: dict[str, int]) -> bytes:
        """The file. versions: of the ops that are not in their first."""
        subgraph = self._table(
            "SubGraph",
            Tensors=self._offsets(self.tensors),
            Inputs=self._vector(inputs, np.int32),
            Outputs=self._vector(outputs, np.int32),
            Operators=self._offsets(self.operators),
        )
        codes = [self._code(op, versions.get(op, 1)) for op in self.codes]
        model = self._table(
            "Model",
            Version=3,
            OperatorCodes=self._offsets(codes),
            Subgraphs=self._offsets([subgraph]),
            Buffers=self._offsets(self.buffers),
        )
        self.builder.Finish(model, b"TFL3")
        return bytes(self.builder.Output())

    def _code(self, op: str, version: int) -> int:
        code = getattr(tflite.BuiltinOperator, op)
        old = min(code, tflite.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)  # a field of 8 bits
        return self._table("OperatorCode", DeprecatedBuiltinCode=old, BuiltinCode=code, Version=version)

    def _buffer(self, data: np.ndarray) -> int:
        raw = np.ascontiguousarray(data).tobytes()
        self.builder.StartVector(1, len(raw), 16)
        self.builder.head -= len(raw)
        self.builder.Bytes[self.builder.head : self.builder.head + len(raw)] = raw
        self.buffers.append(self._table("Buffer", Data=self.builder.EndVector()))
        return len(self.buffers) - 1

    def _table(self, kind: str, **fields: object) -> int:
        """One table of the schema: kindStart, kindAddField…, kindEnd."""
        getattr(tflite, f"{kind}Start")(self.builder)
        for name, value in fields.items():
            getattr(tflite, f"{kind}Add{name}")(self.builder, value)
        return getattr(tflite, f"{kind}End")(self.builder)

    def _vector(self, values, dtype: type) -> int:
        return self.builder.CreateNumpyVector(np.array(list(values), dtype))

    def _offsets(self, values: list[int]) -> int:
        self.builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self.builder.PrependUOffsetTRelative(value)
        return self.builder.EndVector()
