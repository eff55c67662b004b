"""Small float networks that together use every op of the IR that other formats have, each way it can be."""

from __future__ import annotations

import numpy as np

from harness.graph import Graph, Quantization, Tensor
from tests.support import pass_graphs
from tests.support.graphs import Builder, small_network


def convolutions() -> Graph:
    """Every padding, strides, dilation, a multiplier, all activations."""
    rng = np.random.default_rng(11)
    b = Builder("convolutions")
    y = b.input((1, 11, 13, 3))
    w = b.const(rng.normal(0, 0.3, (4, 3, 3, 3)), "w1")
    y = b.node("Conv2D", y, w, padding=((2, 0), (0, 1)), stride=(2, 1), activation="relu6")
    w = b.const(rng.normal(0, 0.3, (4, 3, 3, 4)), "w2")
    y = b.node("Conv2D", y, w, b.const(rng.normal(size=4), "b2"), padding="SAME", dilation=(2, 1))
    w = b.const(rng.normal(0, 0.5, (1, 3, 3, 8)), "w3")
    y = b.node(
        "DepthwiseConv2D", y, w, padding="SAME", stride=(2, 2), multiplier=2, activation="relu_n1_to_1"
    )
    w = b.const(rng.normal(0, 0.5, (1, 2, 2, 8)), "w4")
    y = b.node("DepthwiseConv2D", y, w, padding=((1, 0), (0, 0)), activation="relu")
    w = b.const(rng.normal(0, 0.5, (1, 2, 2, 8)), "w6")
    y = b.node("DepthwiseConv2D", y, w, padding="SAME", dilation=(2, 2))
    return b.build(b.node("Conv2D", y, b.const(rng.normal(0, 0.5, (5, 1, 1, 8)), "w5"), activation="relu6"))


def pools() -> Graph:
    """Pools of every padding in branches that are joined along the channels, then a mean."""
    rng = np.random.default_rng(12)
    b = Builder("pools")
    x = b.input((1, 9, 9, 3))
    parts = [
        b.node("MaxPool2D", x, filter=(3, 3), stride=(2, 2), padding="SAME"),
        b.node("AveragePool2D", x, filter=(3, 3), stride=(2, 2), padding="SAME", activation="relu"),
        b.node("MaxPool2D", x, filter=(3, 2), stride=(2, 2), padding=((1, 1), (0, 1))),
        b.node("Conv2D", x, b.const(rng.normal(size=(2, 1, 1, 3)), "w"), stride=(2, 2)),
    ]
    joined = b.node("Concatenation", *parts, axis=-1, activation="relu6")
    mean = b.node("Mean", joined, b.const(np.array([1, 2], np.int32), "axes"))
    kept = b.node("Mean", joined, b.const(np.array([-3, 2], np.int32), "axes"), keep_dims=True)
    return b.build(mean, kept, b.node("Concatenation", joined, joined, axis=1))


def elementwise() -> Graph:
    """Broadcasts of every kind between convolutions, and a residual sum."""
    rng = np.random.default_rng(13)
    b = Builder("elementwise")
    w = b.const(rng.normal(0, 0.4, (3, 3, 3, 3)), "w")
    x = b.node("Conv2D", b.input((1, 5, 6, 3)), w, padding="SAME")
    y = b.node("Add", x, b.const(rng.normal(size=3), "vector"), activation="relu")
    y = b.node("Sub", b.const(np.float32(2), "scalar"), y, activation="relu_n1_to_1")
    y = b.node("Mul", y, b.const(rng.normal(size=(1, 5, 6, 1)), "map"))
    y = b.node("Add", b.node("Conv2D", y, w, padding="SAME"), x, activation="relu6")
    y = b.node("Mul", y, b.const(rng.normal(size=(6, 3)), "matrix"))
    y = b.node("Rsqrt", b.node("Add", b.node("Mul", y, y), b.const(np.float32(0.5), "one")))
    rows = b.node("Mean", y, b.const(np.array([1], np.int32), "axis"))
    return b.build(b.node("Sub", y, rows), b.node("BiasAdd", y, b.const(rng.normal(size=3), "bias")))


def shapes() -> Graph:
    """Reshapes, transposes and pads between ops that care for the layout."""
    rng = np.random.default_rng(14)
    b = Builder("shapes")
    paddings = b.const(np.array([[0, 0], [1, 0], [0, 2], [1, 1]], np.int32), "paddings")
    y = b.node("Pad", b.input((1, 4, 3, 2)), paddings, value=-1.5)
    y = b.node("Conv2D", y, b.const(rng.normal(size=(4, 2, 2, 4)), "w"), activation="relu")
    y = b.node("Pad", y, b.const(np.array([[0, 0], [1, 1], [0, 0], [0, 0]], np.int32), "paddings"))
    y = b.node("Transpose", y, b.const(np.array([0, 2, 1, 3], np.int32), "perm"))
    y = b.node("MaxPool2D", y, filter=(2, 2), stride=(1, 1))
    scores = b.node("Softmax", y, beta=0.5)
    y = b.node("FullyConnected", y, b.const(rng.normal(0, 0.3, (6, y_size(b, y))), "fc"), activation="relu")
    y = b.node("Reshape", y, b.const(np.array([1, 1, 1, 6], np.int32), "shape"))
    return b.build(scores, b.node("Squeeze", y, axes=(1, 2)), b.node("Identity", b.graph.inputs[0]))


def y_size(b: Builder, name: str) -> int:
    """Number of values of an activation of a graph that is still being built."""
    return int(np.prod(b.build(name).tensors[name].shape))


def curves() -> Graph:
    """The activations that are no clip, after a convolution."""
    rng = np.random.default_rng(15)
    b = Builder("curves")
    x = b.node("Conv2D", b.input((1, 4, 5, 2)), b.const(rng.normal(size=(3, 1, 1, 2)), "w"))
    ends = [b.node(op, x) for op in ("Logistic", "Tanh", "Erf", "Swish", "HardSwish")]
    return b.build(*ends, *(b.node("Gelu", x, approximate=a) for a in (False, True)))


NETWORKS = {
    make.__name__: make for make in (small_network, convolutions, pools, elementwise, shapes, curves)
} | {
    name: pass_graphs.GRAPHS[name]
    for name in (
        "batch_norm_chain",
        "fused_batch_norm",
        "matmuls",
        "padded",
        "branches",
        "reshapes",
        "atrous",
    )
}


def with_int8_weights(graph: Graph, per_channel: bool) -> Graph:
    """The same network with symmetric int8 weights of rank 2 and 4 beside float activations."""
    graph = graph.clone()
    for node in graph.nodes:
        if node.op not in ("Conv2D", "DepthwiseConv2D", "FullyConnected"):
            continue
        tensor = graph.tensors[node.inputs[1]]
        axis = tensor.data.ndim - 1 if node.op == "DepthwiseConv2D" else 0
        others = tuple(i for i in range(tensor.data.ndim) if i != axis)
        limit = np.abs(tensor.data).max(axis=others if per_channel else None)
        quant = Quantization(limit / np.float32(127), np.zeros(np.size(limit)), axis if per_channel else None)
        data = quant.quantize(tensor.data, np.int8)
        graph.tensors[tensor.name] = Tensor(tensor.name, tensor.shape, data.dtype, data, quant)
    return graph


def feeds(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    """Normal float32 values for every input of a graph."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=graph.tensors[name].shape).astype(np.float32) for name in graph.inputs}
