"""Builds a GraphDef NodeDef by NodeDef: names, constants, attributes."""

from __future__ import annotations

import re

import numpy as np

from harness.errors import FormatError, UsageError
from harness.graph import Graph, Node, Tensor

PRODUCER = 27  # GraphDef version of TensorFlow 1.12: below 24, a scalar's shape () would mean "unknown rank"
# tensorflow/core/framework/types.proto
DATA_TYPES = {"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int8": 6, "int64": 9, "bool": 10}
QINT8 = 11
F32 = np.dtype(np.float32)
# What TensorFlow fills in on load where a NodeDef leaves it out (tensorflow/core/ops/*.cc). Attributes that
# never have another value are not even in the table of ops.
_DEFAULTS = {
    "dilations": (1, 1, 1, 1),
    "explicit_paddings": (),
    "transpose_a": False,
    "transpose_b": False,
    "keep_dims": False,
    "squeeze_dims": (),
    "axis": -1,
    "align_corners": False,
    "half_pixel_centers": False,
    "resize_align_corners": False,
}
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.\\/>-]")  # tensorflow/core/framework/node_def_util.cc


def expanded(graph: Graph) -> dict[str, str]:
    """Output of a Dequantize → the int8 constant that it expands; a graph's output is none of them."""
    return {
        node.outputs[0]: node.inputs[0]
        for node in graph.nodes
        if node.op == "Dequantize" and graph.tensors[node.inputs[0]].is_const
        if node.outputs[0] not in graph.outputs
    }


class Writer:
    """Collects the NodeDefs, each after what it reads. A reference is the name of a NodeDef."""

    def __init__(self, graph: Graph) -> None:
        try:
            from tensorboard.compat.proto.graph_pb2 import GraphDef
        except ImportError as error:
            raise UsageError(
                "writing a .pb needs TensorBoard's protobufs: pip install 'quantbench[graphdef]'"
            ) from error
        self.graph = graph
        self.producers = graph.producers()
        self._expanded = expanded(graph)
        self._message = GraphDef()
        self._message.versions.producer = PRODUCER
        self._names: dict[str, str] = {}  # tensor → reference
        self._taken: set[str] = set()
        self._constants: dict[tuple, str] = {}
        self._name_tensors()

    def _name_tensors(self) -> None:
        """Inputs and outputs of the graph are the first to get names, so they keep theirs."""
        written = [name for node in self.graph.nodes for name in node.outputs]
        for name in dict.fromkeys([*self.graph.inputs, *self.graph.outputs, *written]):
            self._names[name] = self._free_name(name)
        for name in self.graph.inputs:
            tensor = self.graph.tensors[name]
            self._emit("Placeholder", self._names[name], [], {"dtype": tensor.dtype, "shape": tensor})

    def finish(self, node: Node, last: str) -> None:
        """Gives the last NodeDef of a chain, which nothing reads yet, the name of the tensor."""
        assert self._message.node[-1].name == last
        self._message.node[-1].name = self._names[node.outputs[0]]
        self._taken.discard(last)

    def content(self) -> bytes:
        """The file; to be called once, after all nodes."""
        for name in self.graph.outputs:
            if self.graph.tensors[name].is_const:
                self._emit_const(self._names[name], self.graph.tensors[name].data)
        return self._message.SerializeToString(deterministic=True)

    # --- what the table of ops calls ---

    def add(self, node: Node, op: str, inputs: list[str], attrs: dict | None = None) -> str:
        """One op of the chain that `node` becomes, with attribute T unless others are given."""
        name = self._free_name(f"{node.name}/{op}" if node.name in self._taken else node.name)
        self._emit(op, name, inputs, {"T": F32} if attrs is None else attrs)
        self._message.node[-1].device = node.attrs.get("device", "")
        return name

    def read(self, tensor: str) -> str:
        """The reference of a tensor of the graph."""
        found = self.const(tensor)
        return self._names[tensor] if found is None else self.weights(found, found.data)

    def const(self, tensor: str) -> Tensor | None:
        """The constant behind a tensor of the graph, through a Dequantize; None for an activation."""
        found = self.graph.tensors[self._expanded.get(tensor, tensor)]
        return found if found.is_const else None

    def constant(self, wanted: str, values: np.ndarray) -> str:
        """A Const called `wanted`, or one there is with the same values."""
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._constants:
            self._constants[key] = self._emit_const(self._free_name(wanted), values)
        return self._constants[key]

    def weights(self, tensor: Tensor, values: np.ndarray, axis: int | None = None) -> str:
        """A constant tensor, its values laid out as in `values`; int8 ones come out as float.

        axis: the dimension of `values` that per-channel scales lie along (None: as in the tensor).
        """
        if tensor.quant is None:
            return self.constant(tensor.name, values)
        key = ("dequantized", tensor.name, values.shape, axis)
        if key not in self._constants:
            axis = tensor.quant.axis if axis is None else axis
            self._constants[key] = self._dequantized(tensor, values, axis)
        return self._constants[key]

    def _dequantized(self, tensor: Tensor, values: np.ndarray, axis: int | None) -> str:
        """real = q · max / 127 with min = −max, of the whole tensor or along `axis` (Dequantize, SCALED)."""
        quant = tensor.quant
        if values.dtype != np.int8 or quant.zero_point.any() or values.min(initial=0) == -128:
            raise FormatError(
                f"weights '{tensor.name}' are not symmetric int8 in [-127, 127], as a .pb needs them: write "
                ".tflite, .onnx or .qbm, or expand them to float first (dequantize_weights)"
            )
        limit = quant.scale * np.float32(127)
        limit = limit if quant.per_channel else limit.reshape(())
        name = self._free_name(tensor.name.removesuffix("/int8"))  # as quantize_weights calls it
        stored = self._emit_const(self._free_name(f"{name}/int8"), values, QINT8)
        limits = [self.constant(f"{name}/min", -limit), self.constant(f"{name}/max", limit)]
        attrs = {"T": QINT8, "mode": "SCALED", "narrow_range": True}
        attrs["axis"] = axis if quant.per_channel else -1
        self._emit("Dequantize", name, [stored, *limits], attrs)
        return name

    # --- the protobuf ---

    def _free_name(self, wanted: str) -> str:
        """A legal name that no other NodeDef has, as close to `wanted` as can be."""
        base = _NOT_IN_NAMES.sub("_", wanted.removesuffix(":0")) or "_"
        base = base if re.match(r"[A-Za-z0-9.]", base) else f"n{base}"
        name, count = base, 0
        while name in self._taken:
            count += 1
            name = f"{base}_{count}"
        self._taken.add(name)
        return name

    def _emit_const(self, name: str, values: np.ndarray, data_type: int | None = None) -> str:
        node = self._message.node.add(name=name, op="Const")
        data_type = data_type or _data_type(name, values.dtype)
        node.attr["dtype"].type = data_type
        proto = node.attr["value"].tensor
        proto.dtype = data_type
        for size in values.shape:
            proto.tensor_shape.dim.add(size=size)
        proto.tensor_content = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
        return name

    def _emit(self, op: str, name: str, inputs: list[str], attrs: dict[str, object]) -> None:
        """One NodeDef, without attributes that have their default.

        An attribute's kind follows its value: a dtype or T is a type, a Tensor a shape.
        """
        node = self._message.node.add(name=name, op=op, input=inputs)
        for key, value in attrs.items():
            if key in _DEFAULTS and value == _DEFAULTS[key]:
                continue
            attr = node.attr[key]
            if isinstance(value, np.dtype):
                attr.type = _data_type(name, value)
            elif key == "T":
                attr.type = value
            elif isinstance(value, bool):
                attr.b = value
            elif isinstance(value, int):
                attr.i = value
            elif isinstance(value, float):
                attr.f = value
            elif isinstance(value, str):
                attr.s = value.encode()
            elif isinstance(value, Tensor):
                attr.shape.SetInParent()  # a scalar's shape is there, and empty
                for size in value.shape:
                    attr.shape.dim.add(size=size)
            else:
                attr.list.SetInParent()
                attr.list.i.extend(value)


def _data_type(name: str, dtype: np.dtype) -> int:
    if str(dtype) not in DATA_TYPES:
        raise FormatError(f"'{name}' is {dtype}, which a .pb has no form for")
    return DATA_TYPES[str(dtype)]
