"""Builds an ONNX graph node by node: names, forms of a value, quantization; see `onnx.py`."""

from __future__ import annotations

import numpy as np

from harness.errors import FormatError
from harness.graph import Graph, Node, Quantization, Tensor

OPSET = 17
FLOAT = 1  # TensorProto.FLOAT
IR_VERSION = 8  # the file format that goes with this opset (onnx/docs/Versioning.md)

Form = tuple[int, ...]


def as_it_is(tensor: Tensor) -> Form:
    """The form that the IR itself has."""
    return tuple(range(len(tensor.shape)))


class Writer:
    """Collects ONNX nodes and initializers. A reference is the name of an ONNX value of real numbers."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._nodes: list[tuple[str, list[str], str, dict]] = []
        self._initializers: dict[str, np.ndarray] = {}
        self._constants: dict[tuple, str] = {}
        self._forms: dict[str, dict[Form, str]] = {}  # tensor → form → reference
        self._written: set[str] = set()  # references that nodes write
        self._stored: dict[str, str] = {}  # quantized tensor → the value between its Q and DQ
        self._output_names: dict[str, str] = {}  # reference → the graph output that it is
        self._taken = {*graph.inputs, *graph.outputs}
        for name in graph.inputs:
            tensor = graph.tensors[name]
            self._forms[name] = {as_it_is(tensor): self._dequantized(tensor, name)}

    def finish(self, node: Node, last: str, form: Form) -> None:
        """Says that `last` is what `node` writes, in this form; a quantized tensor is quantized here."""
        output = self.graph.tensors[node.outputs[0]]
        if output.quant is not None:
            stored = self.add(node, "QuantizeLinear", [last, *self._parameters(output)])
            self._stored[output.name] = stored
            last = self._dequantized(output, stored)
        self._forms[output.name] = {form: last}

    def _finish_output(self, tensor: Tensor) -> None:
        """Gives the value as it is in the IR the name of the graph's output."""
        last = self._stored.get(tensor.name)
        if last is None or as_it_is(tensor) not in self.forms(tensor.name):
            last = self.read(tensor.name)
            if tensor.quant is not None:
                last = self._emit("QuantizeLinear", [last, *self._parameters(tensor)], tensor.name)
        if last not in self._written or last in self._output_names:
            last = self._emit("Identity", [last], tensor.name)  # an input, a constant or another output
        self._output_names[last] = tensor.name

    # --- what the table of ops calls ---

    def add(self, node: Node, op: str, inputs: list[str], **attrs: object) -> str:
        """One ONNX node of those that `node` becomes; returns what it writes."""
        return self._emit(op, inputs, node.name, **attrs)

    def _emit(self, op: str, inputs: list[str], where: str, **attrs: object) -> str:
        output = self._free_name(f"{where}/{op}")
        self._nodes.append((op, inputs, output, attrs))
        self._written.add(output)
        return output

    def constant(self, name: str, values: np.ndarray) -> str:
        """An initializer called `name`, or one there is with the same values."""
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._constants:
            self._constants[key] = self._free_name(name)
            self._initializers[self._constants[key]] = np.array(values, order="C")
        return self._constants[key]

    def forms(self, tensor: str) -> set[Form]:
        """The forms in which an activation exists already; none for a constant."""
        return set(self._forms.get(tensor, ()))

    def read(self, tensor: str, form: Form | None = None) -> str:
        """A tensor's real values in this form (default: as in the IR)."""
        found = self.graph.tensors[tensor]
        form = as_it_is(found) if form is None else form
        forms = self._forms.setdefault(tensor, {})
        if form not in forms:
            forms[form] = self._constant_form(found, form) if found.is_const else self._turn(tensor, form)
        return forms[form]

    def _constant_form(self, tensor: Tensor, form: Form) -> str:
        stored = self.constant(tensor.name, tensor.data.transpose(form))
        axis = tensor.quant.axis if tensor.quant is not None else None
        return self._dequantized(tensor, stored, None if axis is None else form.index(axis))

    def _turn(self, tensor: str, form: Form) -> str:
        """A Transpose of the form there is."""
        have, read = next(iter(self._forms[tensor].items()))
        return self._emit("Transpose", [read], tensor, perm=[have.index(axis) for axis in form])

    # --- quantization ---

    def _parameters(self, tensor: Tensor) -> list[str]:
        """scale and zero point of a tensor; a vector each where they differ along an axis."""
        quant: Quantization = tensor.quant
        shape = (-1,) if quant.per_channel else ()
        scale = self.constant(f"{tensor.name}/scale", quant.scale.reshape(shape))
        zero_point = quant.zero_point.astype(tensor.dtype).reshape(shape)
        return [scale, self.constant(f"{tensor.name}/zero_point", zero_point)]

    def _dequantized(self, tensor: Tensor, stored: str, axis: int | None = None) -> str:
        """The real values of `stored`, which may be real already."""
        if tensor.dtype == np.float16:
            return self._emit("Cast", [stored], tensor.name, to=FLOAT)
        if tensor.quant is None:
            return stored
        attrs = {} if axis is None else {"axis": axis}
        return self._emit("DequantizeLinear", [stored, *self._parameters(tensor)], tensor.name, **attrs)

    # --- the file ---

    def _free_name(self, wanted: str) -> str:
        name, count = wanted, 0
        while name in self._taken:
            count += 1
            name = f"{wanted}_{count}"
        self._taken.add(name)
        return name

    def content(self, onnx) -> bytes:
        """The model's bytes, checked; to be called once, after all nodes."""
        for name in self.graph.outputs:
            self._finish_output(self.graph.tensors[name])
        nodes, data = self._needed()
        model = onnx.helper.make_model(
            onnx.helper.make_graph(
                [
                    onnx.helper.make_node(op, reads, [out], name=out, **attrs)
                    for op, reads, out, attrs in nodes
                ],
                self.graph.name,
                [self._value_info(onnx, name) for name in self.graph.inputs],
                [self._value_info(onnx, name) for name in self.graph.outputs],
                [onnx.numpy_helper.from_array(values, name) for name, values in data.items()],
            ),
            producer_name="quantbench",
            ir_version=IR_VERSION,
            opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        )
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise FormatError(f"graph '{self.graph.name}' has no valid ONNX form: {error}") from error
        return model.SerializeToString(deterministic=True)

    def _needed(self) -> tuple[list[tuple[str, list[str], str, dict]], dict[str, np.ndarray]]:
        """Nodes and initializers that the outputs depend on, the outputs under their names in the graph."""
        names = self._output_names
        needed, nodes = set(names), []
        for op, reads, output, attrs in reversed(self._nodes):
            if output in needed:
                needed.update(reads)
                nodes.append((op, [names.get(r, r) for r in reads], names.get(output, output), attrs))
        return nodes[::-1], {name: values for name, values in self._initializers.items() if name in needed}

    def _value_info(self, onnx, name: str):
        tensor = self.graph.tensors[name]
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
        return onnx.helper.make_tensor_value_info(name, kind, tensor.shape)
