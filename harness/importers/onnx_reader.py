"""Walks the graph of one .onnx file; see `onnx.py`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.errors import FormatError, UsageError, unknown_name
from harness.graph import Graph, Node, Quantization, Tensor
from harness.importers.onnx_constants import evaluate
from harness.importers.onnx_functions import FUNCTIONS
from harness.importers.onnx_layers import LAYERS
from harness.importers.onnx_quantized import QDQ, SHIFT, Operation, expanded
from harness.importers.onnx_shape_ops import SHAPE_OPS
from harness.importers.onnx_source import Source, attributes
from harness.importers.onnx_tensors import array, dtype_of
from harness.importers.onnx_values import MAX_ELEMENTS, MAX_RANK, Value, Values
from harness.ops import Shape

OPSETS = range(11, 22)
DOMAINS = {"", "ai.onnx", "com.microsoft"}  # the last has ONNX Runtime's quantized operators
MAX_NODES = 100_000
MAX_NAME = 1024
GROWTH, FREE_BYTES = 16, 2**26  # constants may take GROWTH times the file's size and FREE_BYTES more
TRANSLATORS = LAYERS | FUNCTIONS | SHAPE_OPS | QDQ

# what a translator raises where attributes and shapes do not go together
DAMAGE = (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, ZeroDivisionError)


class Reader:
    """One model, from its message to a Graph."""

    def __init__(self, path: Path, model, size: int) -> None:
        self.path = path
        self.proto = model.graph
        self.opset = self._opset(model)
        if len(self.proto.node) > MAX_NODES:
            raise self.error(f"has {len(self.proto.node)} nodes; at most {MAX_NODES} are read")
        self.nodes = [step for node in self.proto.node for step in expanded(self._operation(node))]
        self.initializers = {self._name(tensor.name): tensor for tensor in self.proto.initializer}
        listed = (*self.proto.value_info, *self.proto.output, *self.proto.input)
        self.types = {self._name(value.name): value for value in listed}
        self.found: dict[str, Value] = {}
        names = {name for node in self.nodes for name in (node.name, *node.inputs, *node.outputs)}
        self.graph_built = Graph(path.stem)
        self.values = Values(self.graph_built, names | self.types.keys(), GROWTH * size + FREE_BYTES)

    def error(self, problem: str) -> FormatError:
        return FormatError(f"'{self.path}' {problem}")

    def _name(self, name: str | bytes) -> str:
        """A name that is fit for an error message; protobuf gives bytes where they are not UTF-8."""
        if not isinstance(name, str) or len(name) > MAX_NAME or not name.isprintable():
            raise self.error(f"has a name that cannot be one: {name[:80]!r}")
        return name

    def _opset(self, model) -> int:
        versions = {entry.domain: entry.version for entry in model.opset_import}
        opset = versions.get("", versions.get("ai.onnx"))
        if not self.proto.node or opset is None:
            raise self.error("holds no ONNX network, or is cut short: there are no nodes or no opset")
        if opset not in OPSETS:
            raise self.error(
                f"is of opset {opset}; {OPSETS[0]} to {OPSETS[-1]} are read: export it again with one of "
                "those, or convert it with onnx.version_converter"
            )
        return opset

    def _operation(self, node) -> Operation:
        for name in (node.op_type, node.name, *node.input, *node.output):
            self._name(name)
        if node.domain not in DOMAINS:
            raise self.error(
                f"has op '{node.domain}.{node.op_type}' (node '{node.name}'), which is not ONNX's own"
            )
        if not node.output or not any(node.output):
            raise self.error(f"has node '{node.name}' ({node.op_type}) without an output")
        name = node.name or next(filter(None, node.output))
        attrs = attributes(node, self.path.parent)
        return Operation(node.op_type, name, list(node.input), list(node.output), attrs)

    # --- the graph ---

    def graph(self, inputs: Sequence[str], outputs: Sequence[str]) -> Graph:
        """The network between these tensors; empty means what the file says."""
        graph = self.graph_built
        writers = {name: node for node in self.nodes for name in node.outputs if name}
        if sum(map(bool, (n for node in self.nodes for n in node.outputs))) != len(writers):
            raise self.error("writes one value twice")
        given = [v.name for v in self.proto.input if v.name not in self.initializers]
        known = writers.keys() | set(given)
        for kind, named in (("input", inputs), ("output", outputs)):
            for name in named:
                if name not in known:
                    raise unknown_name(f"{kind} of the graph", name, known)
        ends = list(dict.fromkeys(outputs or (v.name for v in self.proto.output)))
        starts = list(dict.fromkeys(inputs or given))
        needed = self._needed(writers, ends, set(starts))
        if not ends:
            raise self.error("has no outputs")
        for name in starts:
            self.found[name] = self._input(name)
        for node in self.nodes:
            if id(node) in needed:
                self._add(node, ends)
        graph.outputs = [self._output(name) for name in ends]
        graph.drop_unused_tensors()
        return graph.verify()

    def _needed(self, writers: dict[str, Operation], ends: list[str], starts: set[str]) -> set[int]:
        """The nodes that the outputs depend on."""
        needed: set[int] = set()
        stack = [name for name in ends if name not in starts]
        while stack:
            node = writers.get(stack.pop())
            if node is not None and id(node) not in needed:
                needed.add(id(node))
                stack += [name for name in node.inputs if name not in starts]
        return needed

    def _add(self, node: Operation, ends: list[str]) -> None:
        inputs = [self._value(name, node) if name else None for name in node.inputs]
        self.values.where = node.name
        source = Source(node.op, node.name, inputs, len(node.outputs), node.attrs, self.values, self.opset)
        try:
            written = self._translated(source)
        except DAMAGE as error:
            raise source.error(f"cannot be read: {type(error).__name__}: {error}") from error
        for name, value in zip(node.outputs, written, strict=False):
            self.values.bind(value, name, as_output=name in ends)
            self.found[name] = value

    def _translated(self, source: Source) -> list[Value]:
        if source.op == "Constant":
            return [self.values.constant(_constant(source), source.name)]
        data = evaluate(source)
        if data is not None:
            return [self.values.constant(data)]
        translate = TRANSLATORS.get(source.op)
        if translate is None:
            raise source.error(
                "is not supported; where the network does not need it, --outputs of bench optimize cut it off"
            )
        written = translate(source)
        return written if isinstance(written, list) else [written]

    def _value(self, name: str, node: Operation) -> Value:
        if name not in self.found:
            if name not in self.initializers:
                known = (
                    "an input that was not named" if name in self.types else "which nothing before it writes"
                )
                error = UsageError if name in self.types else self.error
                raise error(f"'{self.path}': node '{node.name}' ({node.op}) reads '{name}', {known}")
            stored = self.initializers[name]
            data = array(stored, f"'{self.path}': constant '{name}'", self.path.parent)
            if stored.external_data:
                self.values.room += GROWTH * data.nbytes
            self.found[name] = self.values.constant(data, name)
        return self.found[name]

    # --- inputs and outputs ---

    def _input(self, name: str) -> Value:
        if name not in self.types:
            raise self.error(f"does not say the shape of '{name}', so the network cannot begin there")
        kind = self.types[name].type.tensor_type
        shape, dtype = self._shape(name, kind), dtype_of(kind.elem_type, f"'{self.path}': input '{name}'")
        image = len(shape) == 4 and not self._transposed(name)
        if dtype == np.float32:
            return self.values.input(Tensor(name, shape, dtype), image=image)
        quant = self._input_quantization(name, dtype)
        if quant is None:
            raise self.error(f"has input '{name}' of {dtype}; inputs are float32, or int8 or uint8 quantized")
        if dtype == np.int8:
            return self.values.input(Tensor(name, shape, dtype, None, quant), image=image)
        stored = Quantization(quant.scale, quant.zero_point + SHIFT)
        source = self.values.input(Tensor(name, shape, dtype, None, stored), image=image)
        tensor = self.values.add("Quantize", [self.values.read(source, source.form)], quant)
        return Value(shape, {source.form: tensor})

    def _transposed(self, name: str) -> bool:
        """Whether the network itself turns an input, which then is channels last already."""
        return any(node.op == "Transpose" and name in node.inputs for node in self.nodes)

    def _shape(self, name: str, kind) -> Shape:
        if not kind.HasField("shape"):
            raise self.error(f"does not say the shape of input '{name}'")
        sizes = [d.dim_value if d.HasField("dim_value") else 0 for d in kind.shape.dim]
        if sizes and sizes[0] < 1:
            sizes[0] = 1  # the batch
        for axis, size in enumerate(sizes):
            if size < 1:
                called = kind.shape.dim[axis].dim_param[:80] or "open"
                raise self.error(
                    f"has input '{name}' whose dimension {axis} is not fixed ({called!r}): export the model "
                    "with fixed sizes, or fix them with python -m onnxruntime.tools.make_dynamic_shape_fixed"
                )
        if len(sizes) > MAX_RANK or np.prod(sizes, dtype=float) > MAX_ELEMENTS:
            raise self.error(f"has input '{name}' of the impossible shape {tuple(sizes)}")
        return tuple(sizes)

    def _input_quantization(self, name: str, dtype: np.dtype) -> Quantization | None:
        """What a stored input means, as int8: the node that dequantizes it says so."""
        for node in self.nodes:
            if node.op == "DequantizeLinear" and node.inputs[0] == name and dtype in (np.int8, np.uint8):
                scale, *zero = (self._value(n, node).data for n in node.inputs[1:3])
                shift = SHIFT if dtype == np.uint8 else 0
                number = int(np.reshape(zero[0], -1)[0]) if zero else 0
                return Quantization(np.reshape(scale, -1)[:1], number - shift)
        return None

    def _output(self, name: str) -> str:
        """The tensor of an output, under its name and in ONNX's form and type."""
        if name not in self.found:
            raise self.error(f"has output '{name}', which nothing writes")
        graph, tensor = self.graph_built, self.values.read(self.found[name])
        held = graph.tensors[tensor]
        unsigned = held.quant is not None and self.types[name].type.tensor_type.elem_type == 2
        if tensor == name and not unsigned:
            return name
        if tensor == name:
            raise self.error(f"has output '{name}' of uint8 under a name that is taken")
        quant, dtype = held.quant, held.dtype
        if unsigned:
            quant, dtype = Quantization(quant.scale, quant.zero_point + SHIFT), np.dtype(np.uint8)
        graph.tensors[name] = Tensor(name, held.shape, dtype, None, quant)
        graph.nodes.append(Node("Quantize" if unsigned else "Identity", name, [tensor], [name]))
        return name


def _constant(source: Source) -> np.ndarray:
    for key, dtype in (("value_float", np.float32), ("value_floats", np.float32), ("value_int", np.int64),
                       ("value_ints", np.int64)):  # fmt: skip
        if key in source.attrs:
            return np.asarray(source.attrs[key], dtype)
    return source.attrs["value"]
