"""TensorFlow Lite (.tflite) → Graph, float or quantized, through the `tflite` schema bindings.

An operator becomes one or a few IR nodes, the last named after its output (`tflite_ops` translates options);
what follows from constants and shapes alone is computed here (`static_values`). Tensors keep names, shapes
and quantization, and constants are views of the file's bytes, but for float16, which becomes float32. The
file is hostile until checked: every index, size and enum is compared with what the file really holds, and the
bindings' own out-of-range errors become a FormatError.

An op that is not in the vocabulary becomes an opaque node under TFLite's name, which `strip_unused_nodes`
removes when no output needs it and shape inference refuses otherwise.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tflite

from harness.errors import FormatError, UsageError, unknown_name
from harness.graph import OPTIONAL, Graph, Node, Quantization, Tensor
from harness.importers import read_bytes
from harness.importers.static_values import settled
from harness.importers.tflite_operator import Operator
from harness.importers.tflite_ops import TFLITE_OPS
from harness.importers.tflite_unsigned import to_int8
from harness.ops import OPS, Shape

IDENTIFIER = b"TFL3"
MAX_TENSORS = 1_000_000
MAX_NAME = 1024
MAX_RANK = 8
SHARING = 16  # names, indices and scales may be shared in the file, but hardly more often than this

DTYPES = {
    tflite.TensorType.FLOAT32: np.dtype(np.float32),
    tflite.TensorType.FLOAT16: np.dtype(np.float16),
    tflite.TensorType.INT8: np.dtype(np.int8),
    tflite.TensorType.INT32: np.dtype(np.int32),
    tflite.TensorType.INT64: np.dtype(np.int64),
    tflite.TensorType.UINT8: np.dtype(np.uint8),
    tflite.TensorType.INT16: np.dtype(np.int16),
    tflite.TensorType.BOOL: np.dtype(np.bool_),
}
TYPE_NAMES = {number: name for name, number in vars(tflite.TensorType).items() if isinstance(number, int)}
OP_NAMES = {number: name for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)}

# what the bindings raise when an offset, length or string leads out of the file or nowhere
DAMAGE = (
    struct.error,
    IndexError,
    ValueError,  # UnicodeDecodeError too
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    RecursionError,
)


def load(path: Path, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> Graph:
    """Reads a .tflite file; see `harness.importers.load` for arguments and errors."""
    content = read_bytes(path)
    if content[4:8] != IDENTIFIER:
        raise FormatError(f"'{path}' is not a .tflite file: it lacks the identifier TFL3")
    try:
        graph = _Reader(path, content).graph()
    except DAMAGE as error:
        raise FormatError(f"'{path}' is damaged or cut short: {error}") from error
    activations = [name for name, tensor in graph.tensors.items() if not tensor.is_const]
    for kind, named in (("input", inputs), ("output", outputs)):
        for name in named:
            if name not in activations:
                raise unknown_name(f"{kind} of the graph", name, activations)
    graph.outputs = list(dict.fromkeys(outputs)) or graph.outputs
    if inputs:
        _begin_at(graph, list(dict.fromkeys(inputs)))
    to_int8(graph)
    return graph.verify()


def _begin_at(graph: Graph, inputs: list[str]) -> None:
    """Makes these tensors the inputs and keeps the nodes that can be computed from them."""
    graph.inputs = inputs
    known = {OPTIONAL, *inputs, *(name for name, tensor in graph.tensors.items() if tensor.is_const)}
    kept = []
    for node in graph.execution_order():
        if known.issuperset(node.inputs) and known.isdisjoint(node.outputs):
            kept.append(node)
            known.update(node.outputs)
    graph.nodes = kept
    for name in graph.outputs:
        if name not in known:
            raise UsageError(f"output '{name}' depends on more than the inputs named: {', '.join(inputs)}")


class _Reader:
    """Walks the flatbuffer of one file."""

    def __init__(self, path: Path, content: bytes):
        self.path = path
        self.model = tflite.Model.GetRootAsModel(content, 0)
        if self.model.SubgraphsLength() != 1:
            raise self.error(f"has {self.model.SubgraphsLength()} subgraphs; one is supported")
        self.subgraph = self.model.Subgraphs(0)
        self.names: list[str] = []  # by tensor index
        self.room = SHARING * len(content)

    def error(self, problem: str) -> FormatError:
        return FormatError(f"'{self.path}' {problem}")

    def _spend(self, amount: int) -> None:
        """Counts what is copied out of the file; entries that share bytes could claim any amount."""
        self.room -= amount
        if self.room < 0:
            raise self.error("claims more names, indices and scales than a file of its size can hold")

    def graph(self) -> Graph:
        graph = Graph(self.path.stem)
        written: set[int] = set()
        for index in self._counted("Operators"):
            written.update(self._indices(self.subgraph.Operators(index).OutputsAsNumpy()))
        for index in self._counted("Tensors"):
            tensor = self._tensor(index, index not in written, graph.tensors)
            self.names.append(tensor.name)
            graph.tensors[tensor.name] = tensor
        graph.inputs = self._listed(self.subgraph.InputsAsNumpy(), "the graph's inputs")
        graph.outputs = self._listed(self.subgraph.OutputsAsNumpy(), "the graph's outputs")
        if not graph.outputs:
            raise self.error("has no outputs")
        for name in graph.inputs:
            self._check_static(name)
        for index in self._counted("Operators"):
            graph.nodes += settled(graph, self._nodes(index, graph))
        return graph

    def _check_static(self, name: str) -> None:
        """A batch that the file leaves open is run one by one; any other open dimension is refused."""
        record = self.subgraph.Tensors(self.names.index(name))
        signature = [record.ShapeSignature(i) for i in range(record.ShapeSignatureLength())]
        if -1 in signature[1:]:
            dims = ", ".join("?" if d < 0 else str(d) for d in signature)
            raise self.error(
                f"leaves the shape ({dims}) of its input '{name}' open: convert the model with fixed sizes"
            )

    def _counted(self, what: str) -> range:
        """Indices of a vector of the subgraph, its length checked."""
        count = getattr(self.subgraph, f"{what}Length")()
        if count > MAX_TENSORS:
            raise self.error(f"claims {count} {what.lower()}; at most {MAX_TENSORS} are read")
        return range(count)

    def _indices(self, vector) -> list[int]:
        if isinstance(vector, int):  # the bindings give 0 where there is no vector
            return []
        self._spend(vector.nbytes)
        return vector.tolist()

    def _listed(self, vector, what: str) -> list[str]:
        """Names of tensor indices; −1 is an optional input left out."""
        names = []
        for index in self._indices(vector):
            if not -1 <= index < len(self.names):
                raise self.error(f"names tensor {index} in {what}, but has {len(self.names)} tensors")
            names.append(OPTIONAL if index == -1 else self.names[index])
        return names

    # --- tensors ---

    def _tensor(self, index: int, may_be_const: bool, taken: dict) -> Tensor:
        record = self.subgraph.Tensors(index)
        name = self._text(record.Name(), f"tensor {index}")
        if name in taken:
            name = f"{name}:{index}"
        if name in taken:
            raise self.error(f"has two tensors called '{name}'")
        if record.Type() not in DTYPES:
            kind = TYPE_NAMES.get(record.Type(), record.Type())
            raise self.error(f"has tensor '{name}' of type {kind}, which is not supported")
        if record.Sparsity() is not None:
            raise self.error(f"has tensor '{name}', which is sparse: not supported")
        dtype, shape = DTYPES[record.Type()], self._shape(record, name)
        quant = self._quantization(record, name, dtype, shape)
        variable = bool(record.IsVariable())
        data = self._constant(record, name, dtype, shape) if may_be_const and not variable else None
        if dtype == np.float16 and data is None:
            raise self.error(f"has float16 values in '{name}'; float16 is read where it holds constants")
        return Tensor(name, shape, dtype, data, quant, variable)

    def _text(self, raw: bytes | None, fallback: str) -> str:
        """A name from the file, fit for an error message."""
        raw = raw or b""
        self._spend(len(raw))
        text = raw.decode("utf-8") if len(raw) <= MAX_NAME else ""
        return text if text and text.isprintable() else fallback

    def _shape(self, record, name: str) -> Shape:
        if record.ShapeLength() > MAX_RANK:
            raise self.error(
                f"has tensor '{name}' of {record.ShapeLength()} dimensions; at most {MAX_RANK} are supported"
            )
        shape = tuple(record.Shape(i) for i in range(record.ShapeLength()))
        if any(d < 0 for d in shape):
            raise self.error(f"has tensor '{name}' of the impossible shape {shape}")
        return shape

    def _constant(self, record, name: str, dtype: np.dtype, shape: Shape) -> np.ndarray | None:
        if not 0 <= record.Buffer() < self.model.BuffersLength():
            raise self.error(
                f"has tensor '{name}' in buffer {record.Buffer()} of {self.model.BuffersLength()}"
            )
        buffer = self.model.Buffers(record.Buffer())
        if buffer.Offset() > 1 or buffer.Size() > 1:
            raise self.error(f"keeps tensor '{name}' outside the flatbuffer, which is not supported")
        expected = math.prod(shape) * dtype.itemsize
        if buffer.DataLength() == 0 and expected:
            return None
        if buffer.DataLength() != expected:
            raise self.error(
                f"has tensor '{name}' of shape {shape} with {buffer.DataLength()} bytes, not {expected}"
            )
        if not expected:
            return np.empty(shape, dtype)
        if dtype == np.bool_:
            return (buffer.DataAsNumpy() != 0).reshape(shape)  # any byte but 0 is true
        return buffer.DataAsNumpy().view(dtype.newbyteorder("<")).reshape(shape)

    def _quantization(self, record, name: str, dtype: np.dtype, shape: Shape) -> Quantization | None:
        parameters = record.Quantization()
        if parameters is None or parameters.ScaleLength() == 0 or dtype.kind == "f":
            return None
        if parameters.DetailsType():
            raise self.error(f"has tensor '{name}' with custom quantization, which is not supported")
        count, axis = parameters.ScaleLength(), parameters.QuantizedDimension()
        if count > 1 and (not 0 <= axis < len(shape) or shape[axis] != count):
            raise self.error(f"has tensor '{name}' of shape {shape} with {count} scales along axis {axis}")
        self._spend(4 * count)
        if parameters.ZeroPointLength() not in (0, count):
            raise self.error(
                f"has tensor '{name}' with {count} scales but {parameters.ZeroPointLength()} zero points"
            )
        zeros = parameters.ZeroPointAsNumpy() if parameters.ZeroPointLength() else np.zeros(count, np.int64)
        limits = np.iinfo(dtype)
        if zeros.min() < limits.min or zeros.max() > limits.max:
            raise self.error(f"has tensor '{name}' with a zero point outside {dtype}")
        return Quantization(parameters.ScaleAsNumpy(), zeros, axis if count > 1 else None)

    def _expand(self, graph: Graph, stored: str, name: str) -> bool:
        """Whether a Dequantize is that of float16 weights; then what it writes becomes a float constant."""
        halves = graph.const(stored)
        if halves is None or halves.dtype != np.float16:
            return False
        self._spend(2 * halves.nbytes)
        values = halves.astype(np.float32)
        graph.tensors[name] = Tensor(name, values.shape, values.dtype, values)
        return True

    # --- operators ---

    def _op_name(self, index: int) -> str:
        if not 0 <= index < self.model.OperatorCodesLength():
            raise self.error(f"uses operator code {index} of {self.model.OperatorCodesLength()}")
        code = self.model.OperatorCodes(index)
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())  # the schema's rule
        if number == tflite.BuiltinOperator.CUSTOM:
            return self._text(code.CustomCode(), "CUSTOM")
        return OP_NAMES.get(number, f"builtin {number}")

    def _nodes(self, index: int, graph: Graph) -> list[Node]:
        record = self.subgraph.Operators(index)
        op = self._op_name(record.OpcodeIndex())
        inputs = self._listed(record.InputsAsNumpy(), f"the inputs of operator {index} ({op})")
        outputs = self._listed(record.OutputsAsNumpy(), f"the outputs of operator {index} ({op})")
        if not outputs or OPTIONAL in outputs:
            raise self.error(f"has operator {index} ({op}) without an output")
        translate = TFLITE_OPS.get(op)
        if translate is None:
            return [Node(f"tflite.{op}" if op in OPS else op, outputs[0], inputs, outputs)]
        operator = Operator(op, outputs[0], inputs, outputs, graph, record)
        translation = translate(operator)
        if translation is None:
            return operator.nodes
        ir_op, inputs, attrs = translation
        if ir_op == "Dequantize" and self._expand(graph, inputs[0], outputs[0]):
            return operator.nodes
        return [*operator.nodes, Node(ir_op, outputs[0], inputs, outputs, attrs)]
