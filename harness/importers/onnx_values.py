"""ONNX values as tensors of the graph, each in the forms that were asked for; see `onnx.py`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.errors import FormatError
from harness.graph import Graph, Node, Quantization, Tensor
from harness.ops import Shape, infer_shapes

MAX_ELEMENTS = 2**31  # of one tensor
MAX_RANK = 8
INT8, FLOAT = np.dtype(np.int8), np.dtype(np.float32)

Form = tuple[int, ...]
"""Axis j of a tensor holds the ONNX value's axis form[j]."""


def identity(rank: int) -> Form:
    """The form in which ONNX has a value."""
    return tuple(range(rank))


def channels_last(rank: int) -> Form:
    """The form with the second axis last, (0, 2, 3, 1) at rank 4."""
    return (0, *range(2, rank), 1) if rank > 1 else identity(rank)


@dataclass
class Value:
    """A value of the ONNX graph, `shape` in ONNX's order of axes.

    tensors: form → the tensor that holds it. data: its values where they are known already, called `name`.
    make: how to come by the tensor of a form; without it, the first tensor there is gets transposed. likes:
    the forms that `make` has at no cost. fixed: it does not depend on the network's input.
    """

    shape: Shape
    tensors: dict[Form, str] = field(default_factory=dict)
    data: np.ndarray | None = None
    name: str = ""
    make: Callable[[Form], str] | None = None
    likes: Callable[[], set[Form]] | None = None
    fixed: bool = False

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def forms(self) -> set[Form]:
        """The forms that cost nothing."""
        return set(self.tensors) | (self.likes() if self.likes is not None else set())

    @property
    def form(self) -> Form:
        """A form that costs nothing: channels last where it exists."""
        return max(self.forms, default=identity(self.rank))


class Values:
    """Adds nodes and constants to a graph; what it takes and returns are Values."""

    def __init__(self, graph: Graph, taken: set[str], room: int) -> None:
        """taken: names of the ONNX graph, which no name that is made up here may equal. room: bytes that
        constants may take; a few bytes of a file could claim all the memory."""
        self.graph = graph
        self.where = ""  # the ONNX node that is being read: new names begin with it
        self.room = room
        self._taken = set(taken)
        self._counts: dict[str, int] = {}
        self._unnamed: dict[str, Node] = {}  # tensor that no ONNX value is called after yet → its writer

    def _free_name(self, base: str) -> str:
        name = base
        while name in self._taken:
            self._counts[base] = self._counts.get(base, 0) + 1
            name = f"{base}/{self._counts[base]}"
        self._taken.add(name)
        return name

    # --- values ---

    def input(self, tensor: Tensor, *, image: bool = False) -> Value:
        """An input of the graph. image: it is better turned before anything else happens to it."""
        self.graph.tensors[tensor.name] = tensor
        self.graph.inputs.append(tensor.name)
        self.where = tensor.name
        rank = len(tensor.shape)
        likes = (lambda: {channels_last(rank)}) if image else None
        return Value(tensor.shape, {identity(rank): tensor.name}, likes=likes)

    def constant(self, data: np.ndarray, name: str | None = None) -> Value:
        """A value that is known; it becomes a tensor where it is read; real numbers as float32."""
        name = name or f"{self.where}/const"

        def make(form: Form) -> str:
            values = data.astype(np.float32) if data.dtype.kind == "f" else data
            return self.store(values.transpose(form), name)

        whole = identity(data.ndim)
        return Value(data.shape, data=data, name=name, make=make, likes=lambda: {whole}, fixed=True)

    def store(self, data: np.ndarray, name: str, quant: Quantization | None = None) -> str:
        """A constant tensor of the graph; FormatError where they take too much memory together."""
        self.room -= data.nbytes
        if self.room < 0:
            raise FormatError(
                f"node '{self.where}': the constants take too much memory for a file of this size"
            )
        free = self._free_name(name) if name in self.graph.tensors else name
        self._taken.add(free)
        data = np.ascontiguousarray(data).reshape(data.shape)
        self.graph.tensors[free] = Tensor(free, data.shape, data.dtype, data, quant)
        return free

    def view(self, value: Value, perm: Sequence[int]) -> Value:
        """The value with its axes permuted, which only changes what its forms are called."""
        if value.data is not None:
            return self.constant(value.data.transpose(perm), value.name)
        return Value(
            tuple(value.shape[p] for p in perm),
            make=lambda form: self.read(value, tuple(perm[axis] for axis in form)),
            likes=lambda: {tuple(perm.index(axis) for axis in form) for form in value.forms},
            fixed=value.fixed,
        )

    def read(self, value: Value, form: Form | None = None) -> str:
        """The tensor that holds a value in this form (default: as in ONNX)."""
        form = identity(value.rank) if form is None else form
        if form not in value.tensors:
            value.tensors[form] = value.make(form) if value.make is not None else self._turn(value, form)
        return value.tensors[form]

    def _turn(self, value: Value, form: Form) -> str:
        have, tensor = next(iter(value.tensors.items()))
        perm = np.array([have.index(axis) for axis in form], np.int32)
        turned = self.graph.tensors[tensor]
        inputs = [tensor, self.store(perm, f"{tensor}/perm")]
        return self.add("Transpose", inputs, turned.quant, turned.dtype)

    # --- nodes ---

    def add(
        self,
        op: str,
        inputs: list[str],
        quant: Quantization | None = None,
        dtype: np.dtype = INT8,
        **attrs: object,
    ) -> str:
        """Adds a node that reads these tensors; returns what it writes. quant, dtype: of quantized output."""
        name = self._free_name(f"{self.where}/{op}")
        node = Node(op, name, inputs, [name], attrs)
        self.graph.tensors[name] = Tensor(name, None, FLOAT if quant is None else dtype, None, quant)
        infer_shapes(Graph(self.graph.name, self.graph.tensors, [node]))
        shape = self.graph.tensors[name].shape
        if math.prod(shape) > MAX_ELEMENTS or len(shape) > MAX_RANK or min(shape, default=1) < 1:
            raise FormatError(f"node '{self.where}' makes a tensor of the impossible shape {shape}")
        self.graph.nodes.append(node)
        self._unnamed[name] = node
        return name

    def node(self, op: str, inputs: list[str], form: Form, **attrs: object) -> Value:
        """`add`, with the output as a value that is in this form. What only moves int8 values keeps their
        quantization."""
        moved = self.graph.tensors[inputs[0]]
        tensor = self.add(op, inputs, moved.quant if not moved.is_const else None, moved.dtype, **attrs)
        shape = self.graph.tensors[tensor].shape
        return Value(tuple(shape[form.index(axis)] for axis in range(len(shape))), {form: tensor})

    def bind(self, value: Value, name: str, *, as_output: bool) -> None:
        """Calls the last node that was added, and its output, by ONNX's name for the value that it holds.

        as_output: only where the tensor is in ONNX's form, as an output of the graph has to be.
        """
        form, tensor = next(iter(value.tensors.items()), (None, ""))
        node = self._unnamed.get(tensor)
        if node is None or node is not self.graph.nodes[-1] or (as_output and form != identity(value.rank)):
            return
        self._unnamed.clear()
        renamed = self.graph.tensors.pop(tensor)
        renamed.name = node.name = value.tensors[form] = name
        node.outputs = [name]
        self.graph.tensors[name] = renamed
