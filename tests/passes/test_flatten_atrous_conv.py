import numpy as np
import pytest

from harness.passes import flatten_atrous_conv
from tests.support.graphs import Builder
from tests.support.pass_graphs import GRAPHS, assert_same_outputs


def test_both_convolutions_are_dilated():
    graph = GRAPHS["atrous"]()
    after = flatten_atrous_conv.run(graph)
    assert [(n.op, n.attrs["dilation"]) for n in after.nodes] == [
        ("Conv2D", (2, 3)),
        ("DepthwiseConv2D", (2, 3)),
    ]
    assert_same_outputs(graph, after)


def interleaved(pads, crops, block=2, **attrs):
    b = Builder()
    blocks = b.const(np.array([block, block], np.int32))
    y = b.node("SpaceToBatchND", b.input((1, 8, 8, 2)), blocks, b.const(np.array(pads, np.int32)))
    w = b.const(np.random.default_rng(0).normal(size=(3, 3, 3, 2)), "w")
    y = b.node("Conv2D", y, w, **attrs)
    return b.build(b.node("BatchToSpaceND", y, blocks, b.const(np.array(crops, np.int32))))


@pytest.mark.parametrize("padding", ["VALID", "SAME", ((1, 0), (0, 2))])
def test_padding_of_its_own_is_widened(padding):
    graph = interleaved([[2, 2], [2, 4]], [[1, 0], [0, 2]], padding=padding)
    after = flatten_atrous_conv.run(graph)
    assert [node.op for node in after.nodes] == ["Conv2D"]
    assert_same_outputs(graph, after)


@pytest.mark.parametrize(
    "graph",
    [
        interleaved([[0, 0], [0, 0]], [[1, 0], [0, 0]]),
        interleaved([[2, 2], [2, 2]], [[0, 0], [0, 0]], activation="relu"),
        interleaved([[2, 2], [2, 2]], [[0, 0], [0, 0]], stride=(2, 2)),
    ],
    ids=["cropped more than padded", "activation", "stride"],
)
def test_what_is_no_dilation_stays(graph):
    assert flatten_atrous_conv.run(graph).nodes == graph.nodes
