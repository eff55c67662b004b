import numpy as np
import pytest

from harness.errors import UsageError
from harness.ops import infer_shapes, node_macs, run_reference
from harness.passes import decompose
from tests.support.graphs import Builder, small_network


def single(op: str, weights: np.ndarray, shape: tuple[int, ...], **attrs):
    b = Builder()
    bias = b.const(np.arange(len(weights), dtype=np.float32), "bias")
    return b.build(b.node(op, b.input(shape), b.const(weights, "w"), bias, activation="relu", **attrs))


def of_rank(rank: int, height: int, width: int, inputs: int, outputs: int) -> np.ndarray:
    """OHWI filters whose vertical and horizontal parts can be told apart with that many products."""
    rng = np.random.default_rng(0)
    down, across = rng.normal(size=(height, inputs, rank)), rng.normal(size=(rank, width, outputs))
    return np.einsum("yir,rxo->oyxi", down, across)


@pytest.mark.parametrize(
    ("kernel", "attrs"),
    [
        ((3, 3), {"padding": "SAME", "stride": (2, 1)}),
        ((3, 3), {"padding": ((1, 0), (2, 1)), "dilation": (1, 2)}),
        ((1, 1), {"stride": (2, 2)}),
        ((5, 3), {}),
    ],
)
def test_filters_of_low_rank_are_kept_exactly(kernel, attrs):
    graph = single("Conv2D", of_rank(2, *kernel, 12, 16), (1, 9, 8, 12), **attrs)
    cut = infer_shapes(decompose.run(graph, cost=0.6).verify())
    assert [node.op for node in cut.nodes] == ["Conv2D", "Conv2D"]
    x = {"x": np.random.default_rng(1).normal(size=(1, 9, 8, 12)).astype(np.float32)}
    before, after = (run_reference(g, x)[graph.outputs[0]] for g in (graph, cut))
    np.testing.assert_allclose(before, after, atol=1e-3, rtol=1e-4)


def of_ranks(reduced: int, restored: int, height: int, width: int, inputs: int, outputs: int) -> np.ndarray:
    """OHWI filters of so many combinations of inputs, each output a combination of so many."""
    rng = np.random.default_rng(0)
    core = rng.normal(size=(restored, height, width, reduced))
    return np.einsum(
        "oq,qyxp,ip->oyxi", rng.normal(size=(outputs, restored)), core, rng.normal(size=(inputs, reduced))
    )


@pytest.mark.parametrize(
    ("kernel", "attrs"),
    [
        ((3, 3), {"padding": "SAME", "stride": (2, 1)}),
        ((3, 3), {"padding": ((1, 0), (2, 1)), "dilation": (1, 2)}),
        ((5, 3), {}),
    ],
)
def test_filters_of_low_tucker_ranks_are_kept_exactly(kernel, attrs):
    graph = single("Conv2D", of_ranks(3, 5, *kernel, 12, 16), (1, 9, 8, 12), **attrs)
    cut = infer_shapes(decompose.run(graph, cost=0.5, method="tucker").verify())
    weights = [cut.const(node.inputs[1]) for node in cut.execution_order()]
    assert [w.shape[1:3] for w in weights] == [(1, 1), kernel, (1, 1)]
    assert sum(w.size for w in weights) <= 0.5 * graph.const("w").size
    x = {"x": np.random.default_rng(1).normal(size=(1, 9, 8, 12)).astype(np.float32)}
    before, after = (run_reference(g, x)[graph.outputs[0]] for g in (graph, cut))
    np.testing.assert_allclose(before, after, atol=1e-2, rtol=1e-4)


def test_tucker_factors_come_as_near_as_their_singular_values_allow():
    """The error is at least that of the worse of both unfoldings, and at most that of both together."""
    kernel = np.random.default_rng(0).normal(size=(16, 3, 3, 12))
    first, middle, last = decompose.tucker(kernel, 0.4)
    found = np.einsum("oq,qyxp,pi->oyxi", last[:, 0, 0], middle, first[:, 0, 0])
    dropped = [
        np.square(np.linalg.svd(kernel.transpose(axes).reshape(kernel.shape[axes[0]], -1))[1][rank:]).sum()
        for axes, rank in (((0, 1, 2, 3), last.shape[3]), ((3, 0, 1, 2), first.shape[0]))
    ]
    assert max(dropped) <= np.square(found - kernel).sum() <= sum(dropped)


def test_fully_connected_layers_too():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(20, 3)) @ rng.normal(size=(3, 30))
    graph = single("FullyConnected", weights, (1, 30))
    cut = infer_shapes(decompose.run(graph, cost=0.5).verify())
    x = {"x": rng.normal(size=(1, 30)).astype(np.float32)}
    before, after = (run_reference(g, x)[graph.outputs[0]] for g in (graph, cut))
    np.testing.assert_allclose(before, after, atol=1e-3)
    assert sum(node_macs(cut, node) for node in cut.nodes) <= 300


def test_the_factors_cost_what_was_asked_for():
    graph = small_network()
    cut = infer_shapes(decompose.run(graph, cost=0.4))
    assert sum(node_macs(cut, n) for n in cut.nodes) < sum(node_macs(graph, n) for n in graph.nodes)
    assert [node.op for node in cut.execution_order()].count("DepthwiseConv2D") == 1


def test_a_cost_is_between_0_and_1():
    with pytest.raises(UsageError, match="cost=1.5 is not between 0 and 1"):
        decompose.run(small_network(), cost=1.5)


def test_an_unknown_method_is_named():
    with pytest.raises(UsageError, match="method 'cp' is neither svd nor tucker"):
        decompose.run(small_network(), method="cp")
