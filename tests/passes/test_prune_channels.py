import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import passes
from harness.errors import UsageError
from harness.ops import infer_shapes, node_macs, run_reference
from harness.passes import prune_channels
from tests.support.graphs import Builder, small_network
from tests.support.pass_graphs import random_network


def residual(seed: int = 0):
    """Channels added to each other, read by a depthwise layer, and flattened in front of the last layer."""
    rng = np.random.default_rng(seed)
    b = Builder("residual")
    first = b.const(rng.normal(size=(8, 3, 3, 3)), "w1")
    x = b.node(
        "Conv2D",
        b.input((1, 6, 6, 3)),
        first,
        b.const(rng.normal(size=8), "b1"),
        padding="SAME",
        activation="relu6",
    )
    y = b.node("Conv2D", x, b.const(rng.normal(size=(8, 1, 1, 8)), "w2"))
    z = b.node("Add", y, x, activation="relu")
    z = b.node("Mul", z, b.const(rng.normal(size=8), "gain"))
    z = b.node(
        "DepthwiseConv2D", z, b.const(rng.normal(size=(1, 3, 3, 8)), "w3"), stride=(2, 2), padding="SAME"
    )
    flat = b.node("Reshape", z, b.const(np.array([1, 72], np.int32), "shape"))
    return b.build(b.node("FullyConnected", flat, b.const(rng.normal(size=(4, 72)), "w4")))


def shapes(graph) -> dict[str, tuple[int, ...]]:
    return {
        node.op + node.name: graph.const(node.inputs[1]).shape for node in graph.nodes if len(node.inputs) > 1
    }


def macs(graph) -> int:
    return sum(node_macs(graph, node) for node in graph.nodes)


def test_channels_that_are_added_go_together():
    graph = residual()
    pruned = infer_shapes(prune_channels.run(graph, fraction=0.5).verify())
    found = [
        pruned.const(node.inputs[1]).shape
        for node in pruned.nodes
        if node.op in ("Conv2D", "DepthwiseConv2D", "FullyConnected")
    ]
    assert found == [(4, 3, 3, 3), (4, 1, 1, 4), (1, 3, 3, 4), (4, 36)]
    assert macs(pruned) < macs(graph) / 2 + 1
    assert pruned.tensors[pruned.outputs[0]].shape == graph.tensors[graph.outputs[0]].shape


def silenced(graph, layer: int, channels: list[int]):
    """The graph with these channels of a layer's filters and biases zero."""
    graph = graph.clone()
    node = [n for n in graph.nodes if n.op == "Conv2D"][layer]
    for name in node.inputs[1:]:
        values = graph.const(name).copy()
        values[channels] = 0
        graph.tensors[name].data = values
    return graph


def test_what_goes_is_what_matters_least():
    """Channels that are zero everywhere can be taken out without any change of the outputs."""
    graph = silenced(silenced(residual(), 0, [1, 2, 4, 7]), 1, [1, 2, 4, 7])
    pruned = infer_shapes(prune_channels.run(graph, fraction=0.5))
    x = {"x": np.random.default_rng(1).normal(size=(1, 6, 6, 3)).astype(np.float32)}
    before, after = (run_reference(g, x)[graph.outputs[0]] for g in (graph, pruned))
    np.testing.assert_allclose(before, after, atol=1e-4)


def test_rescaling_between_layers_changes_nothing():
    graph = small_network()
    scaled = graph.clone()
    convolution, depthwise = scaled.nodes[0], scaled.nodes[1]
    factor = np.array([1, 100, 1, 0.01, 1, 3, 1, 1], np.float32)
    for node, index, by in ((convolution, 1, factor[:, None, None, None]), (depthwise, 1, 1 / factor)):
        tensor = scaled.tensors[node.inputs[index]]
        tensor.data = (tensor.data * by).astype(np.float32)
    kept = [prune_channels.run(g, fraction=0.5).const("w3") for g in (graph, scaled)]
    np.testing.assert_array_equal(*kept)


def test_kernels_like_multiples():
    node = prune_channels.run(small_network(), fraction=0.1).nodes[0]
    assert prune_channels.run(small_network(), fraction=0.1).const(node.inputs[1]).shape[0] == 8
    graph = prune_channels.run(small_network(), fraction=0.1, multiple=1)
    assert graph.const(graph.nodes[2].inputs[1]).shape == (11, 1, 1, 8)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 14))
def test_random_networks_stay_sound(seed, steps):
    graph = random_network(np.random.default_rng(seed), steps)
    pruned = passes.checked(prune_channels.run(graph, fraction=0.5, multiple=1), partial=False)
    x = {name: np.ones(graph.tensors[name].shape, np.float32) for name in graph.inputs}
    before, after = run_reference(graph, x), run_reference(pruned, x)
    assert {name: v.shape for name, v in before.items()} == {name: v.shape for name, v in after.items()}


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0])
def test_a_fraction_is_between_0_and_1(fraction):
    with pytest.raises(UsageError, match="fraction="):
        prune_channels.run(small_network(), fraction=fraction)
