"""Graph → .tflite, which LiteRT runs and Netron shows.

What we quantize can so be run by the TFLite reference kernels and compared to the byte. Weights keep the
layouts of the IR, which are TFLite's. A padding that is neither SAME nor VALID becomes a PAD before the op.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import flatbuffers
import numpy as np
import tflite

from harness.errors import FormatError
from harness.exporters._fused_resize import split
from harness.exporters._padding import explicit_padding, padding_name
from harness.graph import OPTIONAL, Graph, Node, Quantization, Tensor
from harness.ops.windows import Pads, window_attrs

_TYPES = {
    "float32": tflite.TensorType.FLOAT32,
    "int8": tflite.TensorType.INT8,
    "uint8": tflite.TensorType.UINT8,
    "int32": tflite.TensorType.INT32,
    "int64": tflite.TensorType.INT64,
}
_ACTIVATIONS = {
    None: tflite.ActivationFunctionType.NONE,
    "relu": tflite.ActivationFunctionType.RELU,
    "relu6": tflite.ActivationFunctionType.RELU6,
    "relu_n1_to_1": tflite.ActivationFunctionType.RELU_N1_TO_1,
}


def write(graph: Graph) -> bytes:
    """The .tflite file of a graph with inferred shapes.

    Raises FormatError naming the node or tensor that TFLite has no form for.
    """
    graph = _with_explicit_pads(split(graph))
    _add_reshape_targets(graph)
    _add_biases(graph)
    graph.drop_unused_tensors()
    return _Writer(graph).file()


# --- padding ---


def _with_explicit_pads(graph: Graph) -> Graph:
    """Every convolution padded as neither SAME nor VALID gets a Pad node of its own."""
    graph = graph.clone()
    graph.nodes = graph.execution_order()
    for node in list(graph.nodes):
        if not (node.op in _WINDOWED and padding_name(graph, node) is None):
            continue
        if node.op in ("AveragePool2D", "MaxPool2D"):
            raise FormatError(f"node '{node.name}' ({node.op}): TFLite has no such padding for a pool")
        _insert_pad(graph, node, explicit_padding(graph, node))
    return graph


def _insert_pad(graph: Graph, node: Node, pads: Pads) -> None:
    source = graph.tensors[node.inputs[0]]
    n, h, w, c = source.shape
    paddings = graph.add_const(f"{node.name}/paddings", np.array([(0, 0), *pads, (0, 0)], np.int32))
    padded = graph.unique_name(f"{node.name}/padded")
    shape = (n, h + sum(pads[0]), w + sum(pads[1]), c)
    graph.tensors[padded] = Tensor(padded, shape, source.dtype, None, source.quant)
    pad = Node("Pad", graph.unique_name(f"{node.name}/pad"), [source.name, paddings], [padded])
    graph.nodes.insert(graph.nodes.index(node), pad)
    node.inputs[0] = padded
    node.attrs["padding"] = "VALID"


# --- inputs that TFLite insists on ---


def _add_reshape_targets(graph: Graph) -> None:
    """Every Reshape states its target as a second input, which is what TFLite's kernel reads."""
    for node in graph.nodes:
        if node.op == "Reshape":
            shape = np.array(graph.tensors[node.outputs[0]].shape, np.int32)
            node.inputs = [node.inputs[0], graph.add_const(f"{node.name}/shape", shape)]


def _add_biases(graph: Graph) -> None:
    """A convolution without bias gets one of zeros."""
    for node in graph.nodes:
        if node.op != "Conv2D" or len(node.inputs) == 3 and node.inputs[2] != OPTIONAL:
            continue
        x, weights = (graph.tensors[name] for name in node.inputs[:2])
        count, quant = weights.shape[0], None
        if x.quant is not None:
            scale = np.broadcast_to(x.quant.scale * weights.quant.scale, count)
            quant = Quantization(scale, np.zeros(count, np.int32), 0)
        zeros = np.zeros(count, np.int32 if quant else np.float32)
        node.inputs = [*node.inputs[:2], graph.add_const(f"{node.name}/bias", zeros, quant)]


# --- ops ---


def _windowed_options(graph: Graph, node: Node) -> dict[str, int]:
    stride, _, _ = window_attrs(node)
    return {
        "Padding": getattr(tflite.Padding, padding_name(graph, node)),
        "StrideH": stride[0],
        "StrideW": stride[1],
    } | _activation(graph, node)


def _convolution(graph: Graph, node: Node) -> dict[str, int]:
    _, dilation, _ = window_attrs(node)
    options = _windowed_options(graph, node)
    return options | {"DilationHFactor": dilation[0], "DilationWFactor": dilation[1]}


def _depthwise(graph: Graph, node: Node) -> dict[str, int]:
    return _convolution(graph, node) | {"DepthMultiplier": node.attrs.get("multiplier", 1)}


def _pool(graph: Graph, node: Node) -> dict[str, int]:
    height, width = node.attrs["filter"]
    return _windowed_options(graph, node) | {"FilterHeight": height, "FilterWidth": width}


def _activation(graph: Graph, node: Node) -> dict[str, int]:
    return {"FusedActivationFunction": _ACTIVATIONS[node.attrs.get("activation")]}


def _concatenation(graph: Graph, node: Node) -> dict[str, int]:
    return _activation(graph, node) | {"Axis": node.attrs["axis"]}


def _softmax(graph: Graph, node: Node) -> dict[str, float]:
    return {"Beta": node.attrs.get("beta", 1.0)}


def _mean(graph: Graph, node: Node) -> dict[str, bool]:
    return {"KeepDims": node.attrs.get("keep_dims", False)}


def _gelu(graph: Graph, node: Node) -> dict[str, bool]:
    return {"Approximate": node.attrs.get("approximate", False)}


def _resize(graph: Graph, node: Node) -> dict[str, bool]:
    flags = {"AlignCorners": "align_corners", "HalfPixelCenters": "half_pixel_centers"}
    return {theirs: node.attrs.get(ours, False) for theirs, ours in flags.items()}


def _mirror(graph: Graph, node: Node) -> dict[str, int]:
    return {"Mode": getattr(tflite.MirrorPadMode, node.attrs.get("mode", "REFLECT"))}


def _none(graph: Graph, node: Node) -> dict:
    return {}


@dataclass(frozen=True)
class _Op:
    """TFLite's builtin operator, the version that covers int8, its options table and how to fill it."""

    builtin: str
    version: int
    options: str = ""
    fill: Callable[[Graph, Node], dict] = _none


_OPS = {
    "Conv2D": _Op("CONV_2D", 3, "Conv2DOptions", _convolution),
    "DepthwiseConv2D": _Op("DEPTHWISE_CONV_2D", 3, "DepthwiseConv2DOptions", _depthwise),
    "FullyConnected": _Op("FULLY_CONNECTED", 4, "FullyConnectedOptions", _activation),
    "AveragePool2D": _Op("AVERAGE_POOL_2D", 2, "Pool2DOptions", _pool),
    "MaxPool2D": _Op("MAX_POOL_2D", 2, "Pool2DOptions", _pool),
    "Add": _Op("ADD", 2, "AddOptions", _activation),
    "Sub": _Op("SUB", 2, "SubOptions", _activation),
    "Mul": _Op("MUL", 2, "MulOptions", _activation),
    "Div": _Op("DIV", 1, "DivOptions", _activation),
    "Softmax": _Op("SOFTMAX", 2, "SoftmaxOptions", _softmax),
    "Reshape": _Op("RESHAPE", 1),
    "Relu": _Op("RELU", 2),
    "Relu6": _Op("RELU6", 2),
    "Logistic": _Op("LOGISTIC", 1),
    "Tanh": _Op("TANH", 1),
    "HardSwish": _Op("HARD_SWISH", 1),
    "Gelu": _Op("GELU", 1, "GeluOptions", _gelu),
    "Transpose": _Op("TRANSPOSE", 1),
    "SpaceToBatchND": _Op("SPACE_TO_BATCH_ND", 1),
    "BatchToSpaceND": _Op("BATCH_TO_SPACE_ND", 1),
    "Quantize": _Op("QUANTIZE", 2),
    "Dequantize": _Op("DEQUANTIZE", 2),
    "Pad": _Op("PAD", 2, "PadOptions"),
    "MirrorPad": _Op("MIRROR_PAD", 1, "MirrorPadOptions", _mirror),
    "ResizeBilinear": _Op("RESIZE_BILINEAR", 3, "ResizeBilinearOptions", _resize),
    "Mean": _Op("MEAN", 2, "ReducerOptions", _mean),
    "Concatenation": _Op("CONCATENATION", 2, "ConcatenationOptions", _concatenation),
}
_WINDOWED = {name for name, entry in _OPS.items() if entry.fill in (_convolution, _depthwise, _pool)}


# --- the file ---


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
        versions = {entry.builtin: entry.version for entry in _OPS.values()}
        tensors = [self._tensor(self.graph.tensors[name]) for name in self.names]
        operators = [self._operator(node, codes) for node in self.graph.nodes]
        subgraph = self._table(
            "SubGraph",
            Name=self.builder.CreateString(self.graph.name),
            Tensors=self._offsets(tensors),
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

    def _op(self, node: Node) -> _Op:
        if node.op not in _OPS:
            raise FormatError(f"node '{node.name}' ({node.op}): TFLite has no such op")
        return _OPS[node.op]

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
        if entry.options:
            fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, entry.options)
            fields["BuiltinOptions"] = self._table(entry.options, **entry.fill(self.graph, node))
        return self._table("Operator", **fields)

    def _tensor(self, tensor: Tensor) -> int:
        if str(tensor.dtype) not in _TYPES:
            raise FormatError(f"tensor '{tensor.name}': TFLite export has no dtype {tensor.dtype}")
        fields = {
            "Name": self.builder.CreateString(tensor.name),
            "Shape": self._ints(tensor.shape),
            "Type": _TYPES[str(tensor.dtype)],
            "Buffer": 0,
        }
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
