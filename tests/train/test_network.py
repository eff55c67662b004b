"""A graph as a module: float as the references compute it, quantized as the runtime does, to the byte."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from harness.errors import FormatError  # noqa: E402
from harness.ops import run_reference  # noqa: E402
from harness.train.network import Network  # noqa: E402
from tests.support import runner  # noqa: E402
from tests.support.float_networks import convolutions  # noqa: E402
from tests.support.graphs import Builder, small_network  # noqa: E402
from tests.support.training import int8  # noqa: E402


def mixed(seed: int = 0):
    """What the small network lacks: residual sums, products, pools, joins, pads, means, curves."""
    rng = np.random.default_rng(seed)
    b = Builder("mixed")
    x = b.node("Pad", b.input((1, 9, 10, 3)), b.const(np.array([[0, 0], [1, 0], [0, 1], [0, 0]], np.int32)))
    w = b.const(rng.normal(0, 0.3, (4, 3, 3, 3)), "w")
    y = b.node(
        "Conv2D", x, w, b.const(rng.normal(size=4), "b"), stride=(2, 2), padding="SAME", activation="relu6"
    )
    z = b.node("Conv2D", y, b.const(rng.normal(0, 0.3, (4, 3, 3, 4)), "v"), padding="SAME", dilation=(2, 2))
    z = b.node("Add", z, y, activation="relu")
    z = b.node("Mul", z, b.const(rng.normal(size=4), "gain"))
    gate = b.node("Logistic", b.node("Mean", z, b.const(np.array([1, 2], np.int32)), keep_dims=True))
    z = b.node("HardSwish", b.node("Mul", z, gate))
    pooled = b.node("AveragePool2D", z, filter=(3, 3), stride=(2, 2), padding="SAME")
    largest = b.node("MaxPool2D", z, filter=(3, 3), stride=(2, 2), padding="SAME")
    joined = b.node("Concatenation", pooled, largest, axis=-1)
    size = int(np.prod(b.build(joined).tensors[joined].shape))
    flat = b.node("Reshape", joined, shape=(1, size))
    return b.build(b.node("FullyConnected", flat, b.const(rng.normal(0, 0.2, (5, size)), "f")))


def batch(graph, count: int, seed: int = 0) -> np.ndarray:
    shape = graph.tensors[graph.inputs[0]].shape
    return np.random.default_rng(seed).normal(size=(count, *shape[1:])).astype(np.float32)


@pytest.mark.parametrize("make", [small_network, mixed, convolutions])
def test_float_network_is_the_reference(make):
    graph = make()
    x = batch(graph, 3)
    network = Network(graph, {}, None).eval()
    with torch.no_grad():
        (found,) = network(torch.from_numpy(x), (graph.outputs[0],))
    for row in range(3):
        expected = run_reference(graph, {graph.inputs[0]: x[row : row + 1]})[graph.outputs[0]]
        assert np.abs(found[row].numpy() - expected[0]).max() < 1e-4


def quantized(graph, **choices) -> Network:
    """A network whose ranges have seen a batch."""
    return Network(graph, {}, int8(graph, batch(graph, 8), **choices)).eval()


@pytest.mark.parametrize("one_scale", [False, True])
@pytest.mark.parametrize("make", [small_network, convolutions])
def test_int8_network_is_the_runtime_to_the_byte(make, one_scale, tmp_path):
    network = quantized(make(), one_scale=one_scale)
    graph = network.int8_graph()
    source, target = (graph.tensors[n[0]] for n in (graph.inputs, graph.outputs))
    x = batch(network.graph, 4, seed=1)
    with torch.no_grad():
        (found,) = network(torch.from_numpy(x), (network.graph.outputs[0],), exact=True)
    for row in range(len(x)):
        stored = source.quant.quantize(x[row : row + 1], source.dtype)
        (deployed,) = runner.predict(graph, [stored], tmp_path)
        assert np.array_equal(target.quant.quantize(found[row].numpy(), np.int8), deployed[0])


def test_other_ops_are_within_a_step_of_the_runtime(tmp_path):
    """Fixed-point sums, products and curves round in places of their own."""
    network = quantized(mixed())
    graph = network.int8_graph()
    source, target = (graph.tensors[n[0]] for n in (graph.inputs, graph.outputs))
    x = batch(network.graph, 8, seed=1)
    with torch.no_grad():
        (found,) = network(torch.from_numpy(x), (network.graph.outputs[0],), exact=True)
    for row in range(len(x)):
        stored = source.quant.quantize(x[row : row + 1], source.dtype)
        (deployed,) = runner.predict(graph, [stored], tmp_path)
        simulated = target.quant.quantize(found[row].numpy(), np.int8)
        assert np.abs(simulated.astype(int) - deployed[0]).max() <= 2


@pytest.mark.parametrize("one_scale", [False, True])
def test_gradients_reach_every_weight_and_every_range(one_scale):
    network = quantized(mixed(), one_scale=one_scale).train()
    (y,) = network(torch.from_numpy(batch(network.graph, 8)), (network.logits,))
    y.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert (network.ranges.change.grad != 0).any(1).sum() > 5


def test_dead_channels_do_not_make_the_others_biases_move_further():
    """Folding batch norms leaves weights of about 1e-12 with ordinary biases."""
    graph = small_network()
    node = graph.nodes[0]
    alone = Network(graph, {}, None).layer(node).bias_size
    graph.const(node.inputs[1])[::2] *= 1e-12
    beside = Network(graph, {}, None).layer(node).bias_size
    assert (beside[1::2] / alone[1::2] - 1).abs().max() < 1


def test_an_op_that_cannot_be_trained_is_named():
    b = Builder()
    graph = b.build(b.node("Cos", b.input((1, 4)), name="wave"))
    with pytest.raises(FormatError, match=r"op 'Cos' \(node 'wave'\) cannot be trained"):
        Network(graph, {}, None)
