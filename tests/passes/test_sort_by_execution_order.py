from harness.passes import sort_by_execution_order
from tests.support.graphs import small_network


def test_every_node_comes_after_what_it_reads():
    graph = small_network()
    sorted_nodes = list(graph.nodes)
    graph.nodes.reverse()
    assert sort_by_execution_order.run(graph).nodes == sorted_nodes
