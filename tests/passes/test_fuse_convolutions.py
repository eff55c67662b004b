import numpy as np
import pytest

from harness.passes import fuse_convolutions
from tests.support.graphs import Builder
from tests.support.pass_graphs import GRAPHS, assert_same_outputs


def padded(pads, op="Conv2D", value=0.0, **attrs):
    b = Builder()
    pads = b.const(np.array(pads, np.int32), "pads")
    x = b.node("Pad", b.input((1, 5, 5, 2)), pads, value=value)
    weights = (4, 3, 3, 2) if op == "Conv2D" else (1, 3, 3, 2)
    w = b.const(np.random.default_rng(0).normal(size=weights), "w")
    return b.build(b.node(op, x, w, stride=(2, 2), **attrs))


ROUND = [[0, 0], [1, 2], [0, 3], [0, 0]]


@pytest.mark.parametrize("op", ["Conv2D", "DepthwiseConv2D"])
@pytest.mark.parametrize(
    ("padding", "expected"),
    [("VALID", ((1, 2), (0, 3))), (((1, 0), (2, 1)), ((2, 2), (2, 4)))],
)
def test_zeros_become_the_convolutions_own_padding(op, padding, expected):
    graph = padded(ROUND, op, padding=padding)
    after = fuse_convolutions.run(graph)
    assert [(n.op, n.attrs["padding"]) for n in after.nodes] == [(op, expected)]
    assert_same_outputs(graph, after)


@pytest.mark.parametrize(
    "graph",
    [
        padded(ROUND, padding="SAME"),
        padded(ROUND, value=1.0),
        padded([[1, 0], [1, 1], [1, 1], [0, 0]]),
    ],
    ids=["SAME", "value", "batch"],
)
def test_other_pads_are_left(graph):
    assert fuse_convolutions.run(graph).nodes == graph.nodes


def test_resizes_and_mirrored_pads_become_tensorflows_fused_op():
    graph = GRAPHS["resized"]()
    after = fuse_convolutions.run(graph)
    assert_same_outputs(graph, after)
    fused = [node.attrs for node in after.nodes if node.op == "FusedResizeAndPadConv2D"]
    assert [(a.get("size"), a.get("align_corners"), a.get("pads"), a.get("mode")) for a in fused] == [
        ((8, 9), False, None, None),
        (None, None, ((1, 2), (2, 1)), "REFLECT"),
        ((5, 9), False, ((1, 2), (2, 1)), "SYMMETRIC"),
        ((6, 4), True, ((1, 2), (2, 1)), "REFLECT"),
    ]


def test_what_the_fused_op_cannot_do_is_left():
    left = [node.op for node in fuse_convolutions.run(GRAPHS["resized"]()).nodes[4:]]
    assert left == [  # half-pixel centers, a dilation, a value that is an output too
        *("ResizeBilinear", "Conv2D"),
        *("MirrorPad", "Conv2D"),
        *("MirrorPad", "Conv2D"),
    ]


@pytest.mark.parametrize("attrs", [{"padding": "SAME"}, {"dilation": (2, 2)}, {"padding": ((0, 1), (0, 0))}])
def test_mirrored_pads_stay_in_front_of_other_convolutions(attrs):
    b = Builder()
    pads = b.const(np.array([[0, 0], [2, 2], [2, 2], [0, 0]], np.int32), "pads")
    x = b.node("MirrorPad", b.input((1, 5, 5, 2)), pads)
    graph = b.build(b.node("Conv2D", x, b.const(np.ones((1, 3, 3, 2)), "w"), **attrs))
    assert fuse_convolutions.run(graph).nodes == graph.nodes


def test_a_padded_channel_is_left():
    b = Builder()
    pads = b.const(np.array([[0, 0], [0, 0], [0, 0], [0, 1]], np.int32), "pads")
    x = b.node("Pad", b.input((1, 3, 3, 1)), pads)
    graph = b.build(b.node("Conv2D", x, b.const(np.ones((1, 1, 1, 2)), "w")))
    assert fuse_convolutions.run(graph).nodes == graph.nodes
