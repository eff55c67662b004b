import numpy as np

from harness.changes import Change, Size, changes, size
from harness.graph import Node, Tensor
from harness.passes import fuse_activations, remove_nodes
from tests.support.graphs import F32, Builder, small_network


def test_size_counts_nodes_macs_and_bytes():
    b = Builder()
    y = b.node("FullyConnected", b.input((1, 4)), b.const(np.zeros((3, 4))), b.const(np.zeros(3)))
    assert size(b.build(b.node("Relu", y))) == Size(nodes=2, macs=12, constant_bytes=60)


def test_ops_that_are_not_known_count_no_macs():
    graph = small_network()
    graph.tensors["odd"] = Tensor("odd", None, F32)
    graph.nodes.append(Node("Mystery", "odd", ["x"], ["odd"]))
    graph.outputs.append("odd")
    assert size(graph).macs == size(small_network()).macs
    assert size(graph).nodes == size(small_network()).nodes + 1


def network():
    b = Builder()
    y = b.node("Add", b.node("Identity", b.input((1, 4))), b.const(np.ones(4)))
    return b.build(b.node("Relu", y))


def test_nodes_taken_out_and_what_their_readers_read_instead():
    graph = network()
    assert changes(graph, remove_nodes.run(graph)) == [
        Change("removed", "Identity", "identity"),
        Change("changed", "Add", "add", "reads x, c"),
    ]


def test_attributes_and_outputs():
    graph = network()
    assert changes(graph, fuse_activations.run(graph)) == [
        Change("removed", "Relu", "relu"),
        Change("changed", "Add", "add", "activation None → relu; writes relu:0"),
    ]


def test_new_nodes_and_new_values():
    before, after = network(), network()
    after.nodes[1].op = "Mul"
    after.nodes.append(Node("Softmax", "new", ["x"], ["new"], {"beta": 2.0, "device": None}))
    assert changes(before, after) == [
        Change("changed", "Mul", "add", "was Add; new values in c"),
        Change("added", "Softmax", "new", "beta=2.0"),
    ]
    assert changes(before, before.clone()) == []
