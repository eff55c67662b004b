"""Graphs that give the passes something to do, or to leave alone, and comparisons before and after."""

from __future__ import annotations

import copy

import numpy as np

from harness.graph import Graph
from harness.ops import run_reference
from tests.support.graphs import Builder


def batch_norm_chain(channels: int = 4) -> Graph:
    """Convolutions followed by batch norm as arithmetic: Rsqrt, Mul, Sub, Add, then Relu6; depthwise too."""
    rng = np.random.default_rng(1)
    b = Builder("chain")
    x = b.input((1, 6, 6, 3))
    y = b.node("Conv2D", x, b.const(rng.normal(size=(channels, 3, 3, 3)), "w"), padding="SAME")
    y = _unfused(b, rng, y, channels)
    y = b.node("DepthwiseConv2D", y, b.const(rng.normal(size=(1, 3, 3, channels)), "dw"), padding="SAME")
    return b.build(_unfused(b, rng, y, channels))


def _unfused(b: Builder, rng, y: str, channels: int) -> str:
    gamma, beta, mean = (b.node("Identity", b.const(rng.normal(size=channels))) for _ in range(3))
    variance = b.node("Add", b.const(rng.uniform(0.5, 2, channels)), b.const(np.float32(0.001)))
    scale = b.node("Mul", b.node("Rsqrt", variance), gamma)
    shift = b.node("Sub", beta, b.node("Mul", mean, scale))
    return b.node("Relu6", b.node("Add", b.node("Mul", y, scale), shift))


def fused_batch_norm(epsilon: float = 0.01) -> Graph:
    """Conv2D with a bias, BatchNorm, Relu; then a fully connected layer with a BatchNorm of its own."""
    rng = np.random.default_rng(2)
    b = Builder("fused")
    w, bias = b.const(rng.normal(size=(4, 1, 1, 3)), "w"), b.const(rng.normal(size=4), "b")
    y = b.node("Conv2D", b.input((1, 2, 2, 3)), w, bias)
    y = b.node("Relu", _batch_norm(b, rng, y, 4, epsilon))
    y = b.node("FullyConnected", b.node("Reshape", y, shape=(1, 16)), b.const(rng.normal(size=(5, 16)), "fc"))
    return b.build(_batch_norm(b, rng, y, 5, epsilon))


def _batch_norm(b: Builder, rng, y: str, channels: int, epsilon: float) -> str:
    parameters = [b.const(rng.normal(size=channels)) for _ in range(3)]
    return b.node(
        "BatchNorm", y, *parameters, b.const(rng.uniform(0.5, 2, channels)), epsilon=epsilon, name="bn"
    )


def matmuls() -> Graph:
    """MatMul with its weights either way round, each with a scale and a bias."""
    rng = np.random.default_rng(3)
    b = Builder("matmuls")
    y = b.node("MatMul", b.input((1, 6)), b.const(rng.normal(size=(6, 4)), "w1"))
    y = b.node("Add", b.node("Mul", y, b.const(rng.normal(size=4))), b.const(rng.normal(size=(1, 4))))
    y = b.node("MatMul", b.node("Relu", y), b.const(rng.normal(size=(3, 4)), "w2"), transpose_b=True)
    return b.build(b.node("Softmax", b.node("BiasAdd", y, b.const(rng.normal(size=3)))))


def padded() -> Graph:
    """Zero pads in front of a VALID, a SAME and an explicitly padded convolution, and of a pool."""
    rng = np.random.default_rng(4)
    b = Builder("padded")
    y = b.input((1, 7, 7, 2))
    w = b.const(rng.normal(size=(2, 3, 3, 2)), "w")
    for padding in ("VALID", "SAME", ((0, 1), (1, 0))):
        pads = b.const(np.array([[0, 0], [1, 0], [0, 2], [0, 0]], np.int32), "pads")
        y = b.node("Conv2D", b.node("Pad", y, pads), w, padding=padding, stride=(2, 2))
        y = b.node("Pad", y, b.const(np.array([[0, 0], [2, 2], [2, 2], [0, 0]], np.int32), "pads"))
    return b.build(b.node("MaxPool2D", y, filter=(2, 2)))


def resized() -> Graph:
    """Resizes and mirrored pads, alone and both, in front of convolutions that may take them in, or not."""
    rng = np.random.default_rng(7)
    b = Builder("resized")
    y = b.input((1, 6, 5, 2))
    w, bias = b.const(rng.normal(size=(2, 3, 3, 2)), "w"), b.const(rng.normal(size=2), "bias")
    kinds = [((8, 9), None), (None, "REFLECT"), ((5, 9), "SYMMETRIC"), ((6, 4), "REFLECT")]
    for index, (size, mode) in enumerate(kinds):
        if size:
            target = b.const(np.array(size, np.int32), "size")
            y = b.node("ResizeBilinear", y, target, align_corners=index % 2 == 1)
        if mode:
            pads = b.const(np.array([[0, 0], [1, 2], [2, 1], [0, 0]], np.int32), "pads")
            y = b.node("MirrorPad", y, pads, mode=mode)
        y = b.node("Conv2D", y, w, bias, stride=(1, 1 + index % 2), activation="relu" if index else None)
    y = b.node("ResizeBilinear", y, b.const(np.array([9, 8], np.int32), "size"), half_pixel_centers=True)
    y = b.node("Conv2D", y, w)
    pads = b.const(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32), "pads")
    y = b.node("Conv2D", b.node("MirrorPad", y, pads, mode="REFLECT"), w, dilation=(2, 2))
    shared = b.node("MirrorPad", y, pads, mode="REFLECT")
    return b.build(b.node("Conv2D", shared, w), shared)


def branches() -> Graph:
    """Values that several nodes read or that are graph outputs, Identity nodes everywhere, and dead ends."""
    rng = np.random.default_rng(5)
    b = Builder("branches")
    x = b.node("Identity", b.input((1, 4, 4, 3)))
    w = b.const(rng.normal(size=(3, 1, 1, 3)), "w")
    scale = b.const(rng.normal(size=3), "scale")
    y = b.node("Conv2D", x, w)  # read twice
    scaled = b.node("Mul", y, scale)
    relu = b.node("Relu", b.node("Identity", y))
    both = b.node("Add", scaled, relu)  # an output that is read too
    z = b.node("Mul", b.node("Conv2D", both, w), scale)
    b.node("Softmax", b.node("Relu6", z))  # nobody reads it
    squared = b.node("Mul", b.node("Conv2D", both, w), both)
    return b.build(both, b.node("Identity", squared), b.node("StopGradient", both), z)


def reshapes() -> Graph:
    """Squeeze and Reshape one after the other, with the shape as attribute and as input."""
    b = Builder("reshapes")
    y = b.node("Squeeze", b.input((1, 1, 1, 12)), axes=(1, 2))
    y = b.node("Reshape", y, b.const(np.array([-1, 4], np.int32)))
    y = b.node("Softmax", b.node("Reshape", y, shape=(2, 6)))
    return b.build(b.node("Reshape", y, b.const(np.array([1, -1], np.int32))))


def random_network(rng: np.random.Generator, steps: int) -> Graph:
    """A random graph over 1×5×5×3: any node may read any earlier value, any value may be an output."""
    b = Builder("random")
    values = [b.input((1, 5, 5, 3))]
    shared = b.const(rng.normal(size=(3, 3, 3, 3)) / 4, "shared")
    vector = b.const(rng.normal(size=3), "vector")
    for _ in range(steps):
        x = values[-1] if rng.random() < 0.8 else values[rng.integers(len(values))]
        values.append(_random_node(b, rng, x, values, shared, vector))
    others = [v for v in values[1:-1] if rng.random() < 0.1]
    return b.build(values[-1], *others)


def _random_node(b: Builder, rng, x: str, values: list[str], shared: str, vector: str) -> str:
    kind = rng.integers(20)
    constant = vector if rng.random() < 0.3 else b.const(rng.normal(size=(3,) if rng.random() < 0.7 else ()))
    if kind < 3:
        weights = shared if rng.random() < 0.3 else b.const(rng.normal(size=(3, 3, 3, 3)) / 4)
        inputs = [x, weights] + ([constant] if b.graph.tensors[constant].shape == (3,) else [])
        return b.node("Conv2D", *inputs, padding="SAME", activation=[None, None, "relu"][rng.integers(3)])
    if kind == 3:
        return b.node("DepthwiseConv2D", x, b.const(rng.normal(size=(1, 3, 3, 3)) / 2), padding="SAME")
    if kind < 7:
        pair = (x, constant) if rng.random() < 0.6 else (constant, x)
        return b.node(["Add", "Sub", "Mul"][rng.integers(3)], *pair)
    if kind == 7:
        return b.node("Add", x, values[rng.integers(len(values))])
    if kind == 8:
        pads = b.const(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
        return b.node("Conv2D", b.node("Pad", x, pads), shared)
    if kind == 9:
        parameters = [b.const(rng.normal(size=3)) for _ in range(3)]
        return b.node("BatchNorm", x, *parameters, b.const(rng.uniform(0.5, 2, 3)), epsilon=0.1)
    if kind == 10:
        return b.node("Identity", x)
    if kind < 18:
        return _rewritable(b, rng, int(kind), x, constant)
    return b.node(["Relu", "Relu6"][rng.integers(2)], x)


def _rewritable(b: Builder, rng, kind: int, x: str, constant: str) -> str:
    """Two or three nodes that a simpler one can stand for."""
    if kind == 11:  # two multiples of one value
        parts = [b.node("Mul", x, b.const(np.float32(rng.normal()))) for _ in range(2)]
        return b.node(["Add", "Sub"][rng.integers(2)], *parts)
    if kind == 12:  # the same thing twice
        name = ["Relu", "Identity"][rng.integers(2)]
        return b.node("Add", b.node(name, x), b.node(name, x))
    if kind == 13:  # nothing at all, and a quotient
        y = b.node("Mul", b.node("Add", x, b.const(np.zeros(3))), b.const(np.float32(1)))
        return b.node("Div", y, b.const(rng.uniform(0.5, 2, 3)))
    if kind == 14:  # there and back
        there, back = (b.const(np.array(p, np.int32)) for p in ((0, 3, 1, 2), (0, 2, 3, 1)))
        return b.node("Transpose", b.node("Transpose", x, there), back)
    if kind == 15:  # padding twice, and a multiple in front of the convolution
        pads = [b.const(np.array([[0, 0], p, p, [0, 0]], np.int32)) for p in ([1, 0], [0, 1])]
        y = b.node("Pad", b.node("Pad", b.node("Mul", x, constant), pads[0]), pads[1])
        return b.node("Conv2D", y, b.const(rng.normal(size=(3, 3, 3, 3)) / 4))
    if kind == 17:  # larger, mirrored at the edges, and small again
        size = b.const(np.array([8, 6], np.int32))
        pads = b.const(np.array([[0, 0], [3, 0], [3, 2], [0, 0]], np.int32))
        y = b.node("MirrorPad", b.node("ResizeBilinear", x, size), pads, mode="REFLECT")
        w = b.const(rng.normal(size=(3, 3, 3, 3)) / 4)
        return b.node("Conv2D", y, w, stride=(2, 2), activation="relu")
    y = b.node("Sub", constant, b.node("Mul", x, b.const(rng.normal(size=3))))  # in front of a pointwise one
    return b.node("Conv2D", y, b.const(rng.normal(size=(3, 1, 1, 3))))


def sums() -> Graph:
    """3a + 4a + 5a; a run of products and sums; sums that share a term; what changes nothing."""
    b = Builder("sums")
    a, c = b.input((1, 4)), b.node("Relu", b.input((1, 4), "z"))
    three, four, five = (b.node("Mul", a, b.const(np.float32(factor))) for factor in (3, 4, 5))
    y = b.node("Add", b.node("Add", three, four), five, activation="relu6")
    run = b.node("Add", b.node("Mul", y, b.const(np.float32(2))), b.const([1.0, 2.0, 3.0, 4.0]))
    run = b.node("Sub", b.const(np.float32(1)), b.node("Mul", run, b.const([0.5, 1.0, -1.0, 3.0])))
    shared = b.node("Sub", b.node("Add", run, c), b.node("Mul", c, b.const(np.float32(0.5))))
    same = b.node("Mul", b.node("Sub", shared, b.const(np.zeros(4))), b.const(np.ones((1, 1))))
    return b.build(b.node("Softmax", same), b.node("Add", c, b.node("Sub", same, same)))


def atrous() -> Graph:
    """A dilated convolution as TensorFlow writes it, plain and depthwise, with crops."""
    rng = np.random.default_rng(6)
    b = Builder("atrous")
    y = b.input((1, 9, 8, 3))
    for op, shape in (("Conv2D", (3, 3, 3, 3)), ("DepthwiseConv2D", (1, 3, 3, 3))):
        block = b.const(np.array([2, 3], np.int32))
        pads = b.const(np.array([[2, 3], [3, 4]], np.int32))
        y = b.node("SpaceToBatchND", y, block, pads)
        y = b.node(op, y, b.const(rng.normal(size=shape), "w"))
        y = b.node("BatchToSpaceND", y, block, b.const(np.array([[0, 1], [0, 1]], np.int32)))
    return b.build(y)


GRAPHS = {
    make.__name__: make
    for make in (
        batch_norm_chain,
        fused_batch_norm,
        matmuls,
        padded,
        resized,
        branches,
        reshapes,
        sums,
        atrous,
    )
}


def snapshot(graph: Graph) -> tuple:
    """Everything in a graph, copied, for comparison with what it is later."""
    tensors = {
        name: (t.shape, t.dtype, t.quant, None if t.data is None else t.data.tobytes())
        for name, t in graph.tensors.items()
    }
    return tensors, copy.deepcopy(graph.nodes), list(graph.inputs), list(graph.outputs)


def assert_same_outputs(before: Graph, after: Graph, seed: int = 0) -> None:
    """Both graphs give the same outputs under the same names, to 1e-5 of their magnitude."""
    rng = np.random.default_rng(seed)
    feeds = {name: rng.normal(size=before.tensors[name].shape).astype(np.float32) for name in before.inputs}
    assert after.outputs == before.outputs
    expected, got = run_reference(before, feeds), run_reference(after, feeds)
    for name, values in expected.items():
        bound = 1e-5 * max(1.0, float(np.abs(values).max()))
        np.testing.assert_allclose(got[name], values, rtol=0, atol=bound)
