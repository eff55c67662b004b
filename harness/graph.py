"""The intermediate representation (IR) that every step reads and writes.

A `Graph` is a set of named tensors and a list of nodes that produce them. The op vocabulary and each
op's attributes, shape rule and NumPy reference live in `harness/ops`; the layouts are TFLite's:

    activations NHWC · Conv2D weights OHWI · DepthwiseConv2D weights 1HWC (C = channels × multiplier)
    FullyConnected weights (out, in) · bias (out,)

The arithmetic of a node follows from the dtypes of its tensors, as in TFLite: all float32 is `f32`, float16
or int8 weights beside float32 activations are `f16` and `hybrid`, int8 everywhere is `int8`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from harness.errors import FormatError

OPTIONAL = ""  # the name that stands for an input left out, such as a missing bias


@dataclass(frozen=True)
class Quantization:
    """Affine quantization: real = (q − zero_point) · scale (TFLite 8-bit quantization specification).

    scale: float32 (n,), zero_point: int32 (n,); n = 1 and axis None for a whole tensor, else n is the
    length of dimension `axis` (per-channel).
    """

    scale: np.ndarray
    zero_point: np.ndarray
    axis: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", np.atleast_1d(np.asarray(self.scale, np.float32)))
        object.__setattr__(self, "zero_point", np.atleast_1d(np.asarray(self.zero_point, np.int32)))

    @property
    def per_channel(self) -> bool:
        return self.axis is not None

    def _along(self, values: np.ndarray, rank: int) -> np.ndarray:
        """`values` reshaped to broadcast along `axis` of a tensor of this rank."""
        if self.axis is None:
            return values[0]
        return values.reshape([-1 if i == self.axis else 1 for i in range(rank)])

    def quantize(self, real: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Nearest quantized values, ties away from zero as in TFLite, saturated to `dtype`."""
        scaled = (np.asarray(real, np.float32) / self._along(self.scale, np.ndim(real))).astype(np.float64)
        rounded = np.trunc(scaled + np.copysign(0.5, scaled))
        limits = np.iinfo(dtype)
        shifted = rounded + self._along(self.zero_point, np.ndim(real))
        return np.clip(shifted, limits.min, limits.max).astype(dtype)

    def dequantize(self, quantized: np.ndarray) -> np.ndarray:
        """float32 values of a quantized array."""
        rank = np.ndim(quantized)
        centred = quantized.astype(np.int64) - self._along(self.zero_point, rank)
        return (centred * self._along(self.scale, rank)).astype(np.float32)


@dataclass
class Tensor:
    """A value that flows along an edge: a constant when `data` is set, else an activation or a variable.

    A variable is state that a recurrent node reads and changes in place, and that an inference leaves to the
    next one; nothing writes it as its output. It begins as zero, and so does every sample.

    `shape` is None until shape inference has run on an imported graph that does not state it.
    """

    name: str
    shape: tuple[int, ...] | None
    dtype: np.dtype
    data: np.ndarray | None = None
    quant: Quantization | None = None
    is_variable: bool = False

    @property
    def is_const(self) -> bool:
        return self.data is not None

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor's values."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


@dataclass
class Node:
    """One operation. `inputs` and `outputs` are tensor names; an input may be OPTIONAL."""

    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attrs: dict = field(default_factory=dict)


@dataclass
class Graph:
    """A network: tensors by name, nodes, and the names of its input and output tensors."""

    name: str = "graph"
    tensors: dict[str, Tensor] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    # --- reading ---

    def producers(self) -> dict[str, Node]:
        """Tensor name → the node that writes it."""
        return {out: node for node in self.nodes for out in node.outputs}

    def consumers(self) -> dict[str, list[Node]]:
        """Tensor name → the nodes that read it (once per node); every tensor has an entry."""
        readers: dict[str, list[Node]] = {name: [] for name in self.tensors}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                if name != OPTIONAL:
                    readers[name].append(node)
        return readers

    def const(self, name: str) -> np.ndarray | None:
        """The constant behind a tensor name, or None where it is an activation or left out."""
        return self.tensors[name].data if name != OPTIONAL else None

    def execution_order(self) -> list[Node]:
        """Nodes sorted so that each comes after what it reads; file order among equals.

        Raises FormatError naming a node on a cycle.
        """
        producers, state, order = self.producers(), {}, []
        for root in self.nodes:
            stack = [(root, False)]
            while stack:
                node, leaving = stack.pop()
                if leaving:
                    state[id(node)] = "done"
                    order.append(node)
                elif id(node) not in state:
                    state[id(node)] = "open"
                    stack.append((node, True))
                    for name in reversed(node.inputs):
                        before = producers.get(name)
                        if before is None or state.get(id(before)) == "done":
                            continue
                        if state.get(id(before)) == "open":
                            raise FormatError(f"graph '{self.name}': node '{before.name}' is on a cycle")
                        stack.append((before, False))
        return order

    # --- changing ---

    def clone(self) -> Graph:
        """A copy whose structure can be changed freely; constant arrays are shared, not copied."""
        return Graph(
            self.name,
            {name: copy.copy(tensor) for name, tensor in self.tensors.items()},
            [Node(n.op, n.name, list(n.inputs), list(n.outputs), dict(n.attrs)) for n in self.nodes],
            list(self.inputs),
            list(self.outputs),
        )

    def unique_name(self, base: str) -> str:
        """`base`, or `base_1`, `base_2`, … where it is taken by a tensor or a node."""
        taken = self.tensors.keys() | {node.name for node in self.nodes}
        name, count = base, 0
        while name in taken:
            count += 1
            name = f"{base}_{count}"
        return name

    def add_const(self, name: str, data: np.ndarray, quant: Quantization | None = None) -> str:
        """Adds a constant under a free name derived from `name` and returns that name."""
        name = self.unique_name(name)
        self.tensors[name] = Tensor(name, tuple(data.shape), data.dtype, data, quant)
        return name

    def replace_uses(self, old: str, new: str, nodes: Iterable[Node] | None = None) -> None:
        """Every reader of `old` reads `new` instead; with `nodes` None graph outputs follow too."""
        for node in self.nodes if nodes is None else nodes:
            node.inputs = [new if name == old else name for name in node.inputs]
        if nodes is None:
            self.outputs = [new if name == old else name for name in self.outputs]

    def drop_unused_tensors(self) -> None:
        """Removes tensors that no node touches and that are neither input nor output."""
        used = {*self.inputs, *self.outputs}
        for node in self.nodes:
            used.update(node.inputs, node.outputs)
        self.tensors = {name: tensor for name, tensor in self.tensors.items() if name in used}

    # --- checking ---

    def verify(self) -> Graph:
        """Checks the structure and returns the graph; raises FormatError naming what is broken."""
        _verify_tensors(self)
        _verify_edges(self)
        self.execution_order()
        return self


def _verify_tensors(graph: Graph) -> None:
    for key, tensor in graph.tensors.items():
        where = f"graph '{graph.name}': tensor '{key}'"
        if tensor.name != key:
            raise FormatError(f"{where} is called '{tensor.name}' inside")
        smallest = 0 if tensor.is_const else 1  # an empty constant is legal: the shape of a scalar
        if tensor.shape is not None and any(int(d) < smallest for d in tensor.shape):
            raise FormatError(f"{where} has an impossible shape {tensor.shape}")
        if tensor.is_const and (tensor.data.shape != tensor.shape or tensor.data.dtype != tensor.dtype):
            raise FormatError(
                f"{where} says {tensor.dtype}{tensor.shape} but holds {tensor.data.dtype}{tensor.data.shape}"
            )
        if tensor.quant is not None:
            _verify_quant(where, tensor)


def _verify_quant(where: str, tensor: Tensor) -> None:
    quant = tensor.quant
    if not np.all(np.isfinite(quant.scale) & (quant.scale > 0)):
        raise FormatError(f"{where} has a scale that is not positive and finite")
    if len(quant.scale) != len(quant.zero_point):
        raise FormatError(f"{where} has {len(quant.scale)} scales but {len(quant.zero_point)} zero points")
    if quant.axis is None:
        expected = 1
    elif tensor.shape is None or not 0 <= quant.axis < len(tensor.shape):
        raise FormatError(f"{where} is quantized along axis {quant.axis}, which it does not have")
    else:
        expected = tensor.shape[quant.axis]
    if len(quant.scale) != expected:
        raise FormatError(f"{where} needs {expected} scales but has {len(quant.scale)}")


def _verify_edges(graph: Graph) -> None:
    written: dict[str, str] = {}
    names: set[str] = set()
    for node in graph.nodes:
        where = f"graph '{graph.name}': node '{node.name}' ({node.op})"
        if node.name in names:
            raise FormatError(f"{where}: another node has the same name")
        names.add(node.name)
        for name in node.outputs:
            if name not in graph.tensors:
                raise FormatError(f"{where} writes '{name}', which does not exist")
            if name in written:
                raise FormatError(f"{where} writes '{name}', which '{written[name]}' writes already")
            if graph.tensors[name].is_const or graph.tensors[name].is_variable or name in graph.inputs:
                raise FormatError(
                    f"{where} writes '{name}', which is a constant, a variable or a graph input"
                )
            written[name] = node.name
        for name in node.inputs:
            if name == OPTIONAL:
                continue
            if name not in graph.tensors:
                raise FormatError(f"{where} reads '{name}', which does not exist")
    _verify_sources(graph, written)


def _verify_sources(graph: Graph, written: dict[str, str]) -> None:
    """Everything read, and every graph output, comes from a node, a constant, a variable or a graph input."""
    variables = {name for name, tensor in graph.tensors.items() if tensor.is_variable}
    sourced = written.keys() | set(graph.inputs) | variables
    for node in graph.nodes:
        for name in node.inputs:
            if name != OPTIONAL and name not in sourced and not graph.tensors[name].is_const:
                where = f"graph '{graph.name}': node '{node.name}' ({node.op})"
                raise FormatError(f"{where} reads '{name}', which nothing writes")
    for kind, listed in (("input", graph.inputs), ("output", graph.outputs)):
        for name in listed:
            if name not in graph.tensors:
                raise FormatError(f"graph '{graph.name}': {kind} '{name}' does not exist")
    for name in graph.inputs:
        if name in variables:
            raise FormatError(f"graph '{graph.name}': input '{name}' is a variable")
    for name in graph.outputs:
        if name not in sourced and not graph.tensors[name].is_const:
            raise FormatError(f"graph '{graph.name}': output '{name}' is written by nothing")
