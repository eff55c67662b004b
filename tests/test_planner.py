import numpy as np
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
