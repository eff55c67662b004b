"""Graph → model file. The format is specified in runtime/include/format.def; this module follows it.

The file is canonical: the same graph gives the same bytes whatever the target, so a model is identified by
its hash and pushed to a device once.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from harness.errors import FormatError
from harness.files import replacing
from harness.formats import align, constants, record, records, runtime_ops
from harness.graph import OPTIONAL, Graph, Node, Tensor
from harness.node_fields import Fields, node_fields
from harness.ops import unsupported
from harness.planner import place_state, plan

SECTIONS = ("tensors", "nodes", "links", "scales", "strings", "data")
_DTYPES = {
    "float32": "F32",
    "float16": "F16",
    "int8": "S8",
    "uint8": "U8",
    "int32": "S32",
    "int16": "S16",
    "int64": "S64",
    "bool": "BOOL",
}
_QUANTIZED = {np.dtype(kind) for kind in ("int8", "uint8", "int16")}
_ACTIVATIONS = {
    None: "ACT_NONE",
    "relu": "ACT_RELU",
    "relu6": "ACT_RELU6",
    "relu_n1_to_1": "ACT_RELU_N1_TO_1",
}
MAGIC = b"QBMODEL\n"


def pack(graph: Graph) -> bytes:
    """The model file of a graph with inferred shapes.

    Raises FormatError naming the node whose op, arithmetic, dtype or rank the runtime does not have.
    """
    return _Writer(graph).file()


def write(graph: Graph, path: Path) -> None:
    """`pack` to a file, whole or not at all."""
    data = pack(graph)
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def tensor_names(graph: Graph) -> list[str]:
    """Names by index in the file's tensor table, which is how the runner speaks of tensors."""
    return list(_Writer(graph).indices)


def arithmetic(graph: Graph, node: Node) -> str:
    """ "f32", "f16", "hybrid", "int8" or "int16": how the runtime computes this node.

    int16: it reads or writes 16-bit activations. hybrid: only constants are quantized. f16: its weights are
    float16. What works on integers and booleans that stand for themselves counts as f32.
    """
    outer, inner = (
        [graph.tensors[name] for name in names if name != OPTIONAL]
        for names in ((*node.inputs[:1], node.outputs[0]), node.inputs[1:])
    )
    if any(_is_quantized(t) for t in outer):
        return "int16" if any(t.dtype == np.int16 for t in outer) else "int8"
    quantized = [t for t in inner if _is_quantized(t)]
    if not quantized:
        return "f16" if any(t.dtype == np.float16 for t in inner) else "f32"
    return "hybrid" if all(t.is_const for t in quantized) else "int8"


def _is_quantized(tensor: Tensor) -> bool:
    return tensor.quant is not None and tensor.dtype in _QUANTIZED


class _Writer:
    """Collects the sections of one model file."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.order = graph.execution_order()
        self.plan = plan(graph, self.order)
        self.indices = {name: i for i, name in enumerate(self._tensor_names())}
        self.state = place_state([graph.tensors[name] for name in self.indices])
        self.links: list[int] = []
        self.scales: list[float] = []
        self.strings = bytearray()
        self.data = bytearray()

    def _tensor_names(self) -> Iterable[str]:
        """Tensors in order of first use; those that no node and no graph output touches are left out."""
        names = list(self.graph.inputs)
        for node in self.order:
            names += [*self._stored_inputs(node), *node.outputs]
        return dict.fromkeys(name for name in [*names, *self.graph.outputs] if name != OPTIONAL)

    def _stored_inputs(self, node: Node) -> list[str]:
        """Inputs that the runtime reads: a Reshape's target is already its output's shape."""
        return node.inputs[:1] if node.op == "Reshape" else node.inputs

    def file(self) -> bytes:
        kinds = records()
        name = self._string(self.graph.name)
        tensors = [self._tensor(self.graph.tensors[n]) for n in self.indices]
        nodes = [self._node(node) for node in self.order]
        inputs, outputs = (self._link(names) for names in (self.graph.inputs, self.graph.outputs))
        sections = {
            "tensors": np.array(tensors, kinds["tensor_record"]),
            "nodes": np.array(nodes, kinds["node_record"]),
            "links": np.array(self.links, "<u4"),
            "scales": np.array(self.scales, "<f4"),
            "strings": np.frombuffer(bytes(self.strings), np.uint8),
            "data": np.frombuffer(bytes(self.data), np.uint8),
        }
        header = record(
            "model_header",
            magic=np.frombuffer(MAGIC, np.uint8),
            version=constants()["MODEL_VERSION"],
            header_size=kinds["model_header"].itemsize,
            name=name,
            arena_size=self.plan.arena_size,
            state_size=self.state.arena_size,
            inputs_first=inputs[0],
            inputs_count=inputs[1],
            outputs_first=outputs[0],
            outputs_count=outputs[1],
        )
        return _assemble(header, sections)

    def _string(self, text: str) -> int:
        offset = len(self.strings)
        self.strings += text.replace("\0", "").encode() + b"\0"
        return offset

    def _link(self, names: list[str]) -> tuple[int, int]:
        first = len(self.links)
        self.links += [constants()["NONE"] if n == OPTIONAL else self.indices[n] for n in names]
        return first, len(names)

    def _tensor(self, tensor: Tensor) -> np.ndarray:
        rank = len(tensor.shape)
        if str(tensor.dtype) not in _DTYPES or rank > constants()["MAX_RANK"]:
            raise FormatError(
                f"tensor '{tensor.name}' is {tensor.dtype} of rank {rank}: the runtime stores "
                f"{', '.join(_DTYPES)} up to rank {constants()['MAX_RANK']}"
            )
        first = len(self.scales)
        quant = tensor.quant if _is_quantized(tensor) else None  # a bias's scale follows from the others
        if quant is not None:
            if np.any(quant.zero_point != quant.zero_point[0]):
                raise FormatError(f"tensor '{tensor.name}' has channels with different zero points")
            self.scales += quant.scale.tolist()
        kind, offset = self._place(tensor)
        return record(
            "tensor_record",
            name=self._string(tensor.name),
            dtype=constants()[_DTYPES[str(tensor.dtype)]],
            rank=rank,
            kind=constants()[kind],
            dims=(*tensor.shape, *[1] * (constants()["MAX_RANK"] - rank)),
            offset=offset,
            size=tensor.nbytes,
            quant_first=first,
            quant_count=len(self.scales) - first,
            quant_axis=-1 if quant is None or quant.axis is None else quant.axis,
            zero_point=0 if quant is None else quant.zero_point[0],
        )

    def _place(self, tensor: Tensor) -> tuple[str, int]:
        """The tensor's kind, and its offset in the area of that kind."""
        if tensor.is_const:
            return "CONSTANT", self._constant(tensor.data)
        if tensor.is_variable:
            return "VARIABLE", self.state.offsets[tensor.name]
        return "ACTIVATION", self.plan.offsets[tensor.name]

    def _constant(self, data: np.ndarray) -> int:
        self.data += bytes(align(len(self.data)) - len(self.data))
        offset = len(self.data)
        self.data += np.ascontiguousarray(data, data.dtype.newbyteorder("<")).tobytes()
        return offset

    def _node(self, node: Node) -> np.ndarray:
        where = f"node '{node.name}' ({node.op})"
        known = runtime_ops().get(node.op)
        if known is None:
            raise unsupported(node, "is not one of the runtime's", runtime_ops())
        kind = arithmetic(self.graph, node)
        if kind not in known.arithmetics:
            raise FormatError(f"{where}: the runtime has no {kind} arithmetic for it")
        inputs, outputs = self._link(self._stored_inputs(node)), self._link(node.outputs)
        return record(
            "node_record",
            op=known.code,
            activation=constants()[_ACTIVATIONS[node.attrs.get("activation")]],
            arithmetic=constants()[f"ARITH_{kind.upper()}"],
            name=self._string(node.name),
            inputs_first=inputs[0],
            inputs_count=inputs[1],
            outputs_first=outputs[0],
            outputs_count=outputs[1],
            **_padded(node_fields(self.graph, node)),
        )


def _padded(fields: Fields) -> Fields:
    """Array fields that were given short, filled up with zeros."""
    kind = records()["node_record"]
    lengths = {name: kind[name].shape[0] for name in fields if kind[name].shape}
    return fields | {name: [*fields[name], *[0] * (n - len(fields[name]))] for name, n in lengths.items()}


def _assemble(header: np.ndarray, sections: dict[str, np.ndarray]) -> bytes:
    """Lays the sections out one after the other and fills in offsets, sizes and checksums."""
    body = bytearray()
    start = align(int(header["header_size"]))
    for i, name in enumerate(SECTIONS):
        body += bytes(align(len(body)) - len(body))
        header["sections"][i] = (start + len(body), len(sections[name]))
        body += sections[name].tobytes()
    tables_size = int(header["sections"][-1]["offset"]) - start
    header["file_size"] = start + len(body)
    header["tables_crc32"] = zlib.crc32(body[:tables_size])
    header["data_crc32"] = zlib.crc32(body[tables_size:])
    header["header_crc32"] = zlib.crc32(header.tobytes())
    return header.tobytes() + bytes(start - header.nbytes) + bytes(body)
