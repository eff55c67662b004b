import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.graph import Graph, Node, Tensor
from harness.planner import lifetimes, plan
from tests.support.graphs import small_network

U8 = np.dtype(np.uint8)


@st.composite
def random_graphs(draw):
    """Graphs whose nodes read any earlier tensors, with sizes from 1 to 5000 bytes."""
    graph = Graph("random", {"x": Tensor("x", (draw(st.integers(1, 5000)),), U8)}, [], ["x"], [])
    names = ["x"]
    for i in range(draw(st.integers(1, 12))):
        inputs = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
        name = f"t{i}"
        graph.tensors[name] = Tensor(name, (draw(st.integers(1, 5000)),), U8)
        graph.nodes.append(Node("Any", f"n{i}", inputs, [name]))
        names.append(name)
    graph.outputs = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
    return graph


@given(random_graphs())
def test_tensors_alive_together_never_overlap(graph):
    order = graph.execution_order()
    result = plan(graph, order)
    alive = lifetimes(graph, order)
    for i, a in enumerate(alive):
        start = result.offsets[a.name]
        assert start % 64 == 0
        assert start + a.nbytes <= result.arena_size
        for b in alive[:i]:
            if a.overlaps(b):
                other = result.offsets[b.name]
                assert start + a.nbytes <= other or other + b.nbytes <= start


def test_a_chain_needs_its_two_largest_neighbours():
    sizes = [64, 640, 320, 128, 64]
    tensors = {f"t{i}": Tensor(f"t{i}", (size,), U8) for i, size in enumerate(sizes)}
    nodes = [Node("Any", f"n{i}", [f"t{i}"], [f"t{i + 1}"]) for i in range(4)]
    graph = Graph("chain", tensors, nodes, ["t0"], ["t4"])
    assert plan(graph, nodes).arena_size == 960


def test_plan_is_the_same_every_time():
    graph = small_network()
    order = graph.execution_order()
    assert plan(graph, order) == plan(graph.clone(), graph.clone().execution_order())


@st.composite
def sharing_graphs(draw):
    """Graphs of ops that work in place, concatenations that may join, and others, over bytes."""
    sizes = st.sampled_from([1, 63, 64, 128, 192, 1000])
    graph = Graph("sharing", {"x": Tensor("x", (1, draw(sizes)), U8)}, [], ["x"], [])
    names = ["x"]
    for i in range(draw(st.integers(1, 14))):
        op = draw(st.sampled_from(["Relu", "Concatenation", "Add", "Any"]))
        name, one = f"t{i}", draw(st.sampled_from(names))
        size = graph.tensors[one].shape[1]
        inputs, attrs = [one], {}
        if op == "Concatenation":
            inputs, attrs = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3)), {"axis": 1}
            size = sum(graph.tensors[other].shape[1] for other in inputs)
        elif op == "Add":
            inputs = [one, draw(st.sampled_from([n for n in names if graph.tensors[n].shape[1] == size]))]
        elif op == "Any":
            size = draw(sizes)
        graph.tensors[name] = Tensor(name, (1, size), U8)
        graph.nodes.append(Node(op, f"n{i}", inputs, [name], attrs))
        names.append(name)
    graph.outputs = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
    return graph


def values_of(node: Node, arrays: list[np.ndarray], size: int) -> np.ndarray:
    """What the node writes: byte i depends on byte i of every input, but for those ops that copy or mix."""
    if node.op == "Concatenation":
        return np.concatenate(arrays)
    if node.op == "Any":
        return np.resize(np.concatenate(arrays)[::-1] * 3 + 1, size)
    return (sum(array.astype(int) for array in arrays) * 7 + 5).astype(np.uint8)


@given(sharing_graphs())
def test_sharing_memory_changes_no_value(graph):
    order = graph.execution_order()
    result = plan(graph, order)
    apart = {"x": np.arange(graph.tensors["x"].shape[1]).astype(np.uint8)}
    arena = np.zeros(result.arena_size, np.uint8)

    def memory(name):
        start = result.offsets[name]
        return arena[start : start + graph.tensors[name].nbytes]

    memory("x")[:] = apart["x"]
    for node in order:
        size = graph.tensors[node.outputs[0]].nbytes
        apart[node.outputs[0]] = values_of(node, [apart[name] for name in node.inputs], size)
        memory(node.outputs[0])[:] = values_of(node, [memory(name).copy() for name in node.inputs], size)
    for name in graph.outputs:
        np.testing.assert_array_equal(memory(name), apart[name])


def chain(op: str, **attrs: object) -> Graph:
    """x → Any → t0 → op → t1 → Any → t2, all of 640 bytes."""
    tensors = {name: Tensor(name, (1, 640), U8) for name in ("x", "t0", "t1", "t2")}
    nodes = [
        Node("Any", "a", ["x"], ["t0"]),
        Node(op, "b", ["t0"], ["t1"], attrs),
        Node("Any", "c", ["t1"], ["t2"]),
    ]
    return Graph("chain", tensors, nodes, ["x"], ["t2"])


@pytest.mark.parametrize(("op", "shared"), [("Relu", True), ("Reshape", True), ("Any", False)])
def test_an_op_that_works_in_place_writes_over_its_input(op, shared):
    graph = chain(op)
    offsets = plan(graph, graph.nodes).offsets
    assert (offsets["t0"] == offsets["t1"]) == shared


def test_inputs_of_a_concatenation_are_written_where_they_stand_in_it():
    tensors = {
        name: Tensor(name, (1, size), U8) for name, size in (("x", 64), ("a", 128), ("b", 100), ("c", 292))
    }
    nodes = [
        Node("Any", "a", ["x"], ["a"]),
        Node("Any", "b", ["x"], ["b"]),
        Node("Concatenation", "c", ["x", "a", "b"], ["c"], {"axis": 1}),
    ]
    result = plan(Graph("joined", tensors, nodes, ["x"], ["c"]), nodes)
    assert [result.offsets[name] - result.offsets["c"] for name in ("x", "a", "b")] == [0, 64, 192]
    assert result.arena_size == 320
