"""Every op's shape rule and NumPy reference against LiteRT's float reference kernels."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import FormatError
from harness.exporters import tflite
from harness.formats import runtime_ops
from harness.graph import Tensor
from harness.ops import OPS, node_macs, run_reference
from harness.ops.windows import resolve_padding
from tests.support.graphs import Builder, small_network

litert = pytest.importorskip("tests.support.litert", reason="needs ai-edge-litert")

SEEDS = range(25)


def pick(rng, *choices):
    return choices[rng.integers(len(choices))]


def window_attrs(rng, dilated=True):
    return {
        "stride": (int(rng.integers(1, 4)), int(rng.integers(1, 4))),
        "padding": pick(rng, "SAME", "VALID"),
        "dilation": pick(rng, (1, 1), (1, 1), (2, 1), (2, 3)) if dilated else (1, 1),
        "activation": pick(rng, None, "relu", "relu6", "relu_n1_to_1"),
    }


def image(rng, b, channels):
    return b.input((int(rng.integers(1, 3)), *rng.integers(7, 13, 2).tolist(), channels))


def conv2d(rng, b):
    cin, cout = rng.integers(1, 9, 2).tolist()
    x = image(rng, b, cin)
    attrs = window_attrs(rng)
    if attrs["dilation"] != (1, 1):
        attrs["stride"] = (1, 1)  # LiteRT takes one or the other
    w = b.const(rng.normal(size=(cout, *rng.integers(1, 4, 2), cin)), "w")
    bias = [b.const(rng.normal(size=cout), "b")] if rng.random() < 0.7 else []
    return b.node("Conv2D", x, w, *bias, **attrs)


def depthwise(rng, b):
    channels, multiplier = int(rng.integers(1, 9)), pick(rng, 1, 1, 2, 3)
    x = image(rng, b, channels)
    attrs = window_attrs(rng) | {"multiplier": multiplier}
    if attrs["dilation"] != (1, 1):
        attrs["stride"] = (1, 1)
    out = channels * multiplier
    w = b.const(rng.normal(size=(1, *rng.integers(1, 4, 2), out)), "w")
    return b.node("DepthwiseConv2D", x, w, b.const(rng.normal(size=out), "b"), **attrs)


def transpose_conv(rng, b):
    cin, cout, stride = (
        int(rng.integers(1, 9)),
        int(rng.integers(1, 9)),
        tuple(rng.integers(1, 4, 2).tolist()),
    )
    size, window, padding = (
        rng.integers(7, 13, 2).tolist(),
        rng.integers(1, 4, 2).tolist(),
        pick(rng, "SAME", "VALID"),
    )
    _, read = resolve_padding(padding, size, window, stride, (1, 1))
    x, w = b.input((2, *read, cin)), b.const(rng.normal(size=(cout, *window, cin)), "w")
    bias = [b.const(rng.normal(size=cout), "b")] if rng.random() < 0.7 else []
    return b.node("TransposeConv2D", x, w, *bias, stride=stride, padding=padding, size=tuple(size))


def fully_connected(rng, b):
    rows, depth, out = rng.integers(1, 20, 3).tolist()
    w = b.const(rng.normal(size=(out, depth)), "w")
    bias = [b.const(rng.normal(size=out), "b")] if rng.random() < 0.7 else []
    return b.node("FullyConnected", b.input((rows, depth)), w, *bias, activation=pick(rng, None, "relu"))


def pool(op):
    def build(rng, b):
        x = image(rng, b, int(rng.integers(1, 9)))
        size = tuple(rng.integers(1, 5, 2).tolist())
        return b.node(op, x, filter=size, **window_attrs(rng, dilated=False))

    return build


def binary(op):
    def build(rng, b):
        shape = tuple(rng.integers(1, 6, 4).tolist())
        other = tuple(d if rng.random() < 0.6 else 1 for d in shape)
        return b.node(op, b.input(shape), b.input(other, "y"), activation=pick(rng, None, "relu6"))

    return build


def unary(op):
    return lambda rng, b: b.node(op, b.input((2, *rng.integers(1, 7, 2).tolist())))


def softmax(rng, b):
    return b.node("Softmax", b.input((2, int(rng.integers(1, 30)))), beta=pick(rng, 1.0, 0.5))


def reshape(rng, b):
    return b.node("Reshape", b.input((2, 3, 4)), shape=pick(rng, (6, 4), (-1, 8), (24,), (2, 1, 12)))


def pad(rng, b):
    paddings = rng.integers(0, 4, (4, 2)).astype(np.int32)
    return b.node("Pad", b.input((1, 3, 4, 2)), b.const(paddings, "paddings"), value=pick(rng, 0.0, -1.5))


def mirror_pad(rng, b):
    mode = pick(rng, "REFLECT", "SYMMETRIC")
    paddings = rng.integers(0, 3, (4, 2)).astype(np.int32)
    return b.node("MirrorPad", b.input((3, 3, 4, 3)), b.const(paddings, "paddings"), mode=mode)


def resize(op):
    def build(rng, b):
        flags = dict.fromkeys([pick(rng, "align_corners", "half_pixel_centers", "neither")], True)
        flags.pop("neither", None)
        size = b.const(rng.integers(1, 17, 2).astype(np.int32), "size")
        return b.node(op, image(rng, b, 2), size, **flags)

    return build


def batch_matmul(rng, b):
    adj_x, adj_y = bool(rng.integers(2)), bool(rng.integers(2))
    x = b.input((*pick(rng, (), (3,), (2, 1)), *((4, 5) if adj_x else (5, 4))), "x")
    y = b.input((*pick(rng, (), (3,), (2, 3)), *((6, 4) if adj_y else (4, 6))), "y")
    return b.node("BatchMatMul", x, y, adj_x=adj_x, adj_y=adj_y)


def one_hot(rng, b):
    indices, depth = b.const(rng.integers(-1, 5, (2, 3)), "indices"), b.const(np.int32(4), "depth")
    return b.node(
        "OneHot", indices, depth, b.input((), "on"), b.input((), "off"), axis=pick(rng, -1, 0, 1, 2)
    )


def top_k(rng, b):
    values = b.node("TopK", b.input((3, 9)), b.const(rng.integers(1, 10, ()).astype(np.int32), "k"))
    b.graph.tensors["places"] = Tensor("places", None, np.dtype(np.int32))
    b.graph.nodes[-1].outputs.append("places")
    return values


def fused_resize(rng, b):
    attrs = {"size": pick(rng, None, tuple(rng.integers(3, 17, 2).tolist())), "stride": (2, 1)}
    attrs["pads"] = pick(rng, ((0, 0), (0, 0)), ((1, 2), (2, 0)))
    attrs["mode"] = pick(rng, "REFLECT", "SYMMETRIC")
    w, bias = b.const(rng.normal(size=(4, 3, 2, 3)), "w"), b.const(rng.normal(size=4), "bias")
    attrs |= {"align_corners": bool(rng.integers(2)), "activation": pick(rng, None, "relu")}
    return b.node("FusedResizeAndPadConv2D", image(rng, b, 3), w, bias, **attrs)


def mean(rng, b):
    axes = np.array(pick(rng, [1, 2], [1], [-1], [0, 3]), np.int32)
    return b.node("Mean", b.input((2, 3, 4, 5)), b.const(axes, "axes"), keep_dims=bool(rng.integers(2)))


def concatenation(rng, b):
    axis = int(rng.integers(0, 3))
    shapes = [tuple(int(rng.integers(1, 5)) if i == axis else 3 for i in range(3)) for _ in range(3)]
    inputs = [b.input(shape, f"x{i}") for i, shape in enumerate(shapes)]
    return b.node("Concatenation", *inputs, axis=axis)


def gelu(rng, b):
    return b.node("Gelu", b.input((2, 9)), approximate=bool(rng.integers(2)))


def transpose(rng, b):
    return b.node("Transpose", b.input((2, 3, 4, 5)), b.const(rng.permutation(4).astype(np.int32), "perm"))


def slice_(rng, b):
    strided = bool(rng.integers(2))
    strides = np.array([pick(rng, 1, 2, -1, -3) if strided else 1 for _ in range(3)], np.int32)
    begin = np.where(strides > 0, rng.integers(0, 3, 3), 5 - rng.integers(0, 3, 3)).astype(np.int32)
    room = np.where(strides > 0, 5 - begin, begin) // abs(strides) + 1
    lists = (begin, np.minimum(room, rng.integers(1, 7, 3)).astype(np.int32), strides)
    return b.node("Slice", b.input((6, 6, 6)), *(b.const(v) for v in lists[: 2 + strided]))


def tile(rng, b):
    return b.node("Tile", b.input((2, 1, 3)), b.const(rng.integers(1, 4, 3).astype(np.int32), "multiples"))


def gather(rng, b):
    axis, batch_dims = pick(rng, (0, 0), (1, 0), (-1, 1), (2, 2))
    indices = rng.integers(0, 4, ((), (4,), (4, 4))[batch_dims] + pick(rng, (), (3,), (2, 5)))
    x = b.input((4, 4, 4, 4)[: pick(rng, 3, 4)])
    return b.node("Gather", x, b.const(indices, "indices"), axis=axis, batch_dims=batch_dims)


def gather_nd(rng, b):
    indices = rng.integers(0, 3, (*pick(rng, (4,), (2, 3)), pick(rng, 1, 2, 3)))
    return b.node("GatherNd", b.input((3, 4, 5)), b.const(indices, "indices"))


def space_to_batch(rng, b):
    block = rng.integers(1, 4, 2).astype(np.int32)
    pads = rng.integers(0, 3, (2, 2)).astype(np.int32)
    size = [3 * int(d) - int(sum(pad)) % int(d) for d, pad in zip(block, pads, strict=True)]
    return b.node("SpaceToBatchND", b.input((2, *size, 3)), b.const(block, "block"), b.const(pads, "pads"))


def batch_to_space(rng, b):
    block, crops = rng.integers(1, 4, 2).astype(np.int32), rng.integers(0, 2, (2, 2)).astype(np.int32)
    x = b.input((2 * int(np.prod(block)), 3, 4, 2))
    return b.node("BatchToSpaceND", x, b.const(block, "block"), b.const(crops, "crops"))


CASES = {
    "Conv2D": conv2d,
    "DepthwiseConv2D": depthwise,
    "TransposeConv2D": transpose_conv,
    "FullyConnected": fully_connected,
    "AveragePool2D": pool("AveragePool2D"),
    "MaxPool2D": pool("MaxPool2D"),
    **{op: binary(op) for op in ("Add", "Sub", "Mul")},
    **{op: unary(op) for op in ("Relu", "Relu6")},
    "Softmax": softmax,
    "Reshape": reshape,
    "Pad": pad,
    "MirrorPad": mirror_pad,
    "Mean": mean,
    "Concatenation": concatenation,
    "Transpose": transpose,
    "Slice": slice_,
    "Tile": tile,
    "Gather": gather,
    "GatherNd": gather_nd,
    "SpaceToBatchND": space_to_batch,
    "BatchToSpaceND": batch_to_space,
    "ResizeBilinear": resize("ResizeBilinear"),
    "ResizeNearestNeighbor": resize("ResizeNearestNeighbor"),
    "BatchMatMul": batch_matmul,
    "OneHot": one_hot,
    "TopK": top_k,
    "DepthToSpace": lambda rng, b: b.node("DepthToSpace", image(rng, b, 8), block=2),
    "SpaceToDepth": lambda rng, b: b.node("SpaceToDepth", b.input((2, 6, 3, 2)), block=3),
}
NOT_IN_THE_RUNTIME = {
    "Div": binary("Div"),
    **{op: unary(op) for op in ("Logistic", "Tanh", "HardSwish")},
    "Gelu": gelu,
    "FusedResizeAndPadConv2D": fused_resize,
}


@pytest.mark.parametrize("op", [*CASES, *NOT_IN_THE_RUNTIME])
def test_reference_equals_litert(op):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        b = Builder()
        graph = b.build({**CASES, **NOT_IN_THE_RUNTIME}[op](rng, b))
        feeds = {n: rng.normal(0, 3, graph.tensors[n].shape).astype(np.float32) for n in graph.inputs}
        (ours,) = run_reference(graph, feeds).values()
        (theirs,) = litert.Reference(tflite.write(graph)).run(*feeds.values())
        assert ours.shape == graph.tensors[graph.outputs[0]].shape == theirs.shape, seed
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5, err_msg=f"seed {seed}")


def test_every_runtime_op_has_a_reference():
    assert set(runtime_ops()) <= set(OPS)


def test_batch_norm_and_its_friends():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3)).astype(np.float32)
    gamma, beta, mean = (rng.normal(size=3).astype(np.float32) for _ in range(3))
    variance = rng.random(3).astype(np.float32)
    b = Builder()
    names = [
        b.input((2, 3)),
        *(b.const(v, n) for n, v in zip("gbmv", (gamma, beta, mean, variance), strict=True)),
    ]
    norm = b.node("BatchNorm", *names, epsilon=0.01)
    (y,) = run_reference(b.build(norm), {"x": x}).values()
    expected = gamma * (x - mean) / np.sqrt(variance + 0.01) + beta
    np.testing.assert_allclose(y, expected, rtol=1e-5)


def test_matmul_transposes():
    rng = np.random.default_rng(0)
    a, w = rng.normal(size=(4, 2)).astype(np.float32), rng.normal(size=(5, 4)).astype(np.float32)
    b = Builder()
    out = b.node("MatMul", b.input((4, 2)), b.const(w, "w"), transpose_a=True, transpose_b=True)
    (y,) = run_reference(b.build(out), {"x": a}).values()
    np.testing.assert_allclose(y, a.T @ w.T, rtol=1e-5)


def test_macs():
    graph = small_network()
    macs = {node.op: node_macs(graph, node) for node in graph.nodes}
    assert macs["DepthwiseConv2D"] == 5 * 5 * 8 * 9
    assert macs["Conv2D"] == 5 * 5 * 12 * 8  # the second one, 1×1
    assert macs["FullyConnected"] == 60
    assert macs["Softmax"] == 0


@pytest.mark.parametrize(
    ("op", "shapes", "attrs", "message"),
    [
        ("Conv2D", [(1, 8, 8, 3), (4, 3, 3, 2)], {}, "3 channels, the weights expect 2"),
        ("Conv2D", [(1, 2, 2, 3), (4, 3, 3, 3)], {}, "does not fit"),
        ("Conv2D", [(1, 8, 8, 3), (4, 3, 3, 3), (5,)], {}, "bias has shape"),
        ("FullyConnected", [(2, 3), (4, 5)], {}, "does not divide"),
        ("Reshape", [(2, 3)], {"shape": (4,)}, "do not fill"),
        ("Reshape", [(2, 3)], {"shape": (-1, -1)}, "no shape"),
        ("Squeeze", [(2, 1)], {"axes": (0,)}, "not all of length 1"),
        ("Add", [(2, 3), (2, 4)], {}, "do not fit|broadcast"),
        ("AveragePool2D", [(1, 4, 4, 1)], {"filter": (2, 2), "stride": (0, 1)}, "must be positive"),
        ("Concatenation", [(2, 3), (3, 3)], {"axis": 1}, "cannot join"),
        ("ResizeBilinear", [(1, 4, 4, 1), (2,)], {}, "no height and width"),
        ("ResizeBilinear", [(1, 4, 1), (2,)], {}, "rank 4"),
        ("MirrorPad", [(1, 4), (3, 2)], {}, "does not suit rank 2"),
        ("MirrorPad", [(1, 4), (2, 2)], {"mode": "CONSTANT"}, "none of REFLECT, SYMMETRIC"),
        (
            "FusedResizeAndPadConv2D",
            [(1, 4, 4, 3), (4, 3, 3, 3)],
            {"pads": ((4, 0), (0, 0))},
            "mirrors more than there is",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_refused_by_node(op, shapes, attrs, message):
    b = Builder()
    inputs = [b.input(shapes[0]), *(b.const(np.zeros(s, np.float32)) for s in shapes[1:])]
    out = b.node(op, *inputs, name="culprit", **attrs)
    with pytest.raises(FormatError, match=message) as caught:
        b.build(out)
    assert "culprit" in str(caught.value)


def test_unknown_op_is_named():
    b = Builder()
    out = b.node("Frobnicate", b.input((1,)), name="odd")
    with pytest.raises(FormatError, match="'Frobnicate' .node 'odd'"):
        b.build(out)
