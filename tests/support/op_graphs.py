"""Graphs of many unconnected nodes of one op, drawn at random, for comparing kernels with a reference.

Each configuration has inputs and an output of its own, so one start of the runner, or of LiteRT, covers all.
`op_graph(op, quantized, count, seed)` finds the function that draws one node in `DRAW`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.graph import Graph, Node, Quantization, Tensor
from harness.ops import infer_shapes

ACTIVATIONS = (None, "relu", "relu6", "relu_n1_to_1")
F32, S8 = np.dtype(np.float32), np.dtype(np.int8)


@dataclass
class Draw:
    """Adds tensors and one node to a graph; `index` makes their names differ."""

    graph: Graph
    index: int
    quantized: bool
    rng: np.random.Generator

    def quant(self) -> Quantization | None:
        if not self.quantized:
            return None
        scale = np.exp(self.rng.uniform(np.log(0.002), np.log(0.5)))
        return Quantization(np.float32(scale), self.rng.integers(-128, 128))

    def input(self, shape, quant: Quantization | None = None) -> str:
        """An input of the graph with its own quantization, or the one given."""
        name = self.graph.unique_name(f"x{self.index}")
        quant = quant or self.quant()
        self.graph.tensors[name] = Tensor(
            name, tuple(int(d) for d in shape), S8 if quant else F32, None, quant
        )
        self.graph.inputs.append(name)
        return name

    def node(self, op: str, *inputs: str, quant: Quantization | None = None, **attrs) -> None:
        """The node, and its output as an output of the graph."""
        name = self.graph.unique_name(f"y{self.index}")
        quant = quant or self.quant()
        self.graph.tensors[name] = Tensor(name, None, S8 if quant else F32, None, quant)
        self.graph.outputs.append(name)
        self.graph.nodes.append(Node(op, f"node{self.index}", list(inputs), [name], attrs))

    def quant_of(self, name: str) -> Quantization | None:
        return self.graph.tensors[name].quant

    def shape(self, smallest: int = 1, largest: int = 4) -> tuple[int, ...]:
        return tuple(int(d) for d in self.rng.integers(1, 8, self.rng.integers(smallest, largest + 1)))

    def activation(self) -> str | None:
        return ACTIVATIONS[self.rng.integers(4)]

    def ints(self, values) -> str:
        return self.graph.add_const(f"c{self.index}", np.array(values, np.int32))


def _binary(op: str) -> Callable[[Draw], None]:
    def draw(d: Draw) -> None:
        shape = d.shape()
        other = tuple(1 if d.rng.random() < 0.3 else n for n in shape)[d.rng.integers(0, 2) :]
        operands = [shape, other] if d.rng.random() < 0.7 else [shape, shape]
        if d.rng.random() < 0.5:
            operands.reverse()
        d.node(op, *map(d.input, operands), activation=d.activation())

    return draw


def _pool(op: str) -> Callable[[Draw], None]:
    def draw(d: Draw) -> None:
        batch, height, width, channels = (
            d.rng.integers(1, 3),
            *d.rng.integers(6, 13, 2),
            d.rng.integers(1, 20),
        )
        x = d.input((batch, height, width, channels))
        window = tuple(int(n) for n in d.rng.integers(1, 6, 2))
        stride = tuple(int(n) for n in d.rng.integers(1, 4, 2))
        padding = ("SAME", "VALID")[d.rng.integers(2)]
        window_attrs = {"filter": window, "stride": stride, "padding": padding}
        d.node(op, x, quant=d.quant_of(x), activation=d.activation(), **window_attrs)

    return draw


def _unary(op: str) -> Callable[[Draw], None]:
    return lambda d: d.node(op, d.input(d.shape()))


def _softmax(d: Draw) -> None:
    depth = d.rng.integers(1, 500)  # from 512 on the reference kernel aborts where all scores are alike
    x = d.input((*d.rng.integers(1, 5, d.rng.integers(0, 3)), depth))
    quant = Quantization(np.float32(1 / 256), -128) if d.quantized else None
    d.node("Softmax", x, quant=quant, beta=float(d.rng.choice([1.0, 1.0, 0.5, 2.0])))


def _reshape(d: Draw) -> None:
    shape = d.shape()
    x = d.input(shape)
    d.node("Reshape", x, quant=d.quant_of(x), shape=(-1, shape[-1]))


def _pad(d: Draw) -> None:
    shape = d.shape(smallest=4)
    x = d.input(shape)
    d.node("Pad", x, d.ints(d.rng.integers(0, 4, (len(shape), 2))), quant=d.quant_of(x))


def _mean(d: Draw) -> None:
    shape = d.shape(smallest=2)
    rank = len(shape)
    axes = d.rng.permutation(rank)[: d.rng.integers(1, rank + 1)]
    if d.rng.random() < 0.5 and rank == 4:
        axes = np.array([1, 2])
    x = d.input(shape)
    quant = d.quant_of(x) if d.rng.random() < 0.2 else None
    signed = [int(a) - rank * int(d.rng.integers(2)) for a in axes]
    d.node("Mean", x, d.ints(signed), quant=quant, keep_dims=bool(d.rng.integers(2)))


def _concatenation(d: Draw) -> None:
    shape = list(d.shape())
    axis = int(d.rng.integers(len(shape)))
    first = d.input(shape)
    parts = [first]
    for _ in range(d.rng.integers(0, 4)):
        shape[axis] = int(d.rng.integers(1, 8))
        parts.append(d.input(shape, d.quant_of(first)))
    d.node("Concatenation", *parts, quant=d.quant_of(first), axis=axis)


DRAW: dict[str, Callable[[Draw], None]] = {
    "Add": _binary("Add"),
    "Sub": _binary("Sub"),
    "Mul": _binary("Mul"),
    "AveragePool2D": _pool("AveragePool2D"),
    "MaxPool2D": _pool("MaxPool2D"),
    "Relu": _unary("Relu"),
    "Relu6": _unary("Relu6"),
    "Softmax": _softmax,
    "Reshape": _reshape,
    "Pad": _pad,
    "Mean": _mean,
    "Concatenation": _concatenation,
    "Quantize": _unary("Quantize"),
}


def op_graph(op: str, quantized: bool, count: int, seed: int) -> Graph:
    """`count` nodes of `op` with random shapes, attributes and quantizations."""
    rng = np.random.default_rng(seed)
    graph = Graph(op)
    for index in range(count):
        DRAW[op](Draw(graph, index, quantized, rng))
    return infer_shapes(graph.verify())


def conversion_graph(op: str, count: int, seed: int) -> Graph:
    """`count` nodes of Quantize from float, or of Dequantize."""
    rng = np.random.default_rng(seed)
    graph = Graph(op)
    for index in range(count):
        quantized = Draw(graph, index, True, rng).quant()
        source, target = (None, quantized) if op == "Quantize" else (quantized, None)
        draw = Draw(graph, index, False, rng)
        draw.node(op, draw.input(draw.shape(), source), quant=target)
    return infer_shapes(graph.verify())


def random_inputs(graph: Graph, seed: int) -> list[np.ndarray]:
    """One array for each graph input: normal float32, or int8 over its whole range."""
    rng = np.random.default_rng(seed)
    arrays = []
    for tensor in (graph.tensors[name] for name in graph.inputs):
        if tensor.dtype == S8:
            arrays.append(rng.integers(-128, 128, tensor.shape).astype(np.int8))
        else:
            arrays.append(rng.normal(0, 3, tensor.shape).astype(np.float32))
    return arrays
