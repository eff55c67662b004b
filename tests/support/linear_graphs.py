"""Graphs of many unconnected convolutions or fully connected layers, drawn at random.

Every configuration is a node with an input and an output of its own, so that one start of the runner, or of
LiteRT, covers them all.
"""

from __future__ import annotations

import numpy as np

from harness.graph import Graph, Node, Quantization, Tensor
from harness.ops import infer_shapes

F32, S8 = np.dtype(np.float32), np.dtype(np.int8)
ACTIVATIONS = (None, "relu", "relu6", "relu_n1_to_1")
ARITHMETICS = ("f32", "int8", "uint8", "hybrid")  # uint8: int8 whose weights have a zero point
OPS = ("Conv2D", "DepthwiseConv2D", "FullyConnected")


def linear_graph(op: str, arithmetic: str, count: int, seed: int) -> Graph:
    """`count` nodes of `op` with random shapes and attributes, in one of the arithmetics."""
    rng = np.random.default_rng(seed)
    graph = Graph(f"{op}_{arithmetic}")
    for index in range(count):
        _add_node(graph, op, arithmetic, index, rng)
    return infer_shapes(graph.verify())


def random_inputs(graph: Graph, seed: int) -> list[np.ndarray]:
    """One array for each graph input: normal float32, or int8 over its whole range."""
    rng = np.random.default_rng(seed)
    arrays = []
    for name in graph.inputs:
        tensor = graph.tensors[name]
        if tensor.dtype == S8:
            arrays.append(rng.integers(-128, 128, tensor.shape).astype(np.int8))
        else:
            arrays.append(rng.normal(0.3, 1.0, tensor.shape).astype(np.float32))
    return arrays


def _add_node(graph: Graph, op: str, arithmetic: str, index: int, rng: np.random.Generator) -> None:
    if op == "FullyConnected":
        shape, weights_shape, attrs, axis = _fully_connected(rng)
    else:
        shape, weights_shape, attrs, axis = _window(op, rng)
    channels = weights_shape[axis]
    depth = int(np.prod(weights_shape)) // channels
    quantized = arithmetic.endswith("int8")
    x = _add_activation(graph, f"x{index}", shape, quantized, 0.05, rng)
    graph.inputs.append(x)
    weights = _add_weights(graph, f"w{index}", weights_shape, axis, arithmetic, rng)
    inputs = [x, weights]
    if rng.random() < 0.8:
        inputs.append(_add_bias(graph, index, channels, depth, arithmetic, rng))
    spread = 0.05 * 0.01 * 40 * np.sqrt(depth) * rng.uniform(0.3, 2)
    y = _add_activation(graph, f"y{index}", None, quantized, spread, rng)
    graph.outputs.append(y)
    attrs["activation"] = ACTIVATIONS[rng.integers(4)]
    if arithmetic == "uint8" and op != "FullyConnected":
        attrs["unsigned"] = True
    graph.nodes.append(Node(op, f"node{index}", inputs, [y], attrs))


def _fully_connected(rng: np.random.Generator):
    rows, depth, out = int(rng.integers(1, 10)), int(rng.integers(1, 200)), int(rng.integers(1, 70))
    return (rows, depth), (out, depth), {}, 0


def _window(op: str, rng: np.random.Generator):
    filter_h, filter_w = (
        int(n) for n in (rng.choice([1, 1, 2, 3, 3, 5], 2) if rng.random() < 0.8 else (1, 1))
    )
    dilation = tuple(int(n) for n in rng.integers(1, 3, 2)) if rng.random() < 0.3 else (1, 1)
    stride = (1, 1) if dilation != (1, 1) else tuple(int(n) for n in rng.integers(1, 4, 2))
    height, width = (int(n) for n in rng.integers(9, 17, 2))
    padding = ("SAME", "VALID", ((1, 0), (2, 1)))[rng.integers(3)]
    attrs = {"stride": stride, "dilation": dilation, "padding": padding}
    batch, channels = int(rng.integers(1, 4)), int(rng.integers(1, 34))
    if op == "Conv2D":
        out = int(rng.integers(1, 34))
        return (batch, height, width, channels), (out, filter_h, filter_w, channels), attrs, 0
    multiplier = int(rng.integers(2, 4)) if rng.random() < 0.25 else 1
    attrs["multiplier"] = multiplier
    return (batch, height, width, channels), (1, filter_h, filter_w, channels * multiplier), attrs, 3


def _add_activation(graph: Graph, name: str, shape, quantized: bool, scale: float, rng) -> str:
    quant = (
        Quantization(np.float32(scale * rng.uniform(0.5, 1.5)), rng.integers(-128, 128))
        if quantized
        else None
    )
    graph.tensors[name] = Tensor(name, shape, S8 if quantized else F32, None, quant)
    return name


def _add_weights(graph: Graph, name: str, shape, axis: int, arithmetic: str, rng) -> str:
    if arithmetic == "f32":
        return graph.add_const(name, rng.normal(0, 0.3, shape).astype(np.float32))
    per_channel = rng.random() < 0.7 and arithmetic != "uint8"
    count = shape[axis] if per_channel else 1
    zeros = [rng.choice([-128, 127, rng.integers(-60, 60)])] if arithmetic == "uint8" else np.zeros(count)
    quant = Quantization(
        rng.uniform(0.002, 0.02, count).astype(np.float32), zeros, axis if per_channel else None
    )
    low = -128 if rng.random() < 0.2 else -127  # few files have -128, and micro-kernels want it another way
    high = 127 if rng.random() < 0.2 else 128
    return graph.add_const(name, rng.integers(low, high, shape).astype(np.int8), quant)


def _add_bias(graph: Graph, index: int, channels: int, depth: int, arithmetic: str, rng) -> str:
    if not arithmetic.endswith("int8"):
        return graph.add_const(f"b{index}", rng.normal(0, 1, channels).astype(np.float32))
    x, w = graph.tensors[f"x{index}"].quant, graph.tensors[f"w{index}"].quant
    scale = (x.scale * w.scale).astype(np.float32)
    quant = Quantization(scale, np.zeros(len(scale)), None if w.axis is None else 0)
    values = rng.integers(-3000, 3001, channels) * np.int64(np.sqrt(depth) + 1)
    return graph.add_const(f"b{index}", values.astype(np.int32), quant)
