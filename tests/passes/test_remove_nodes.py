from harness.passes import remove_nodes
from tests.support.graphs import Builder
from tests.support.pass_graphs import assert_same_outputs


def ops(graph):
    return [node.op for node in graph.nodes]


def test_readers_read_the_source():
    b = Builder()
    x = b.node("StopGradient", b.node("CheckNumerics", b.input((1, 4))))
    graph = b.build(b.node("Relu", x), b.node("Relu6", x))
    after = remove_nodes.run(graph)
    assert ops(after) == ["Relu", "Relu6"]
    assert [node.inputs for node in after.nodes] == [["x"], ["x"]]


def test_the_producer_takes_an_outputs_name():
    b = Builder()
    y = b.node("Relu", b.input((1, 4)))
    out = b.node("Identity", y)
    graph = b.build(out, b.node("Relu6", y))
    after = remove_nodes.run(graph)
    assert ops(after) == ["Relu", "Relu6"]
    assert after.nodes[0].outputs == [out]
    assert_same_outputs(graph, after)


def test_an_output_that_would_lose_its_name_keeps_its_node():
    b = Builder()
    x = b.input((1, 4))
    y = b.node("Relu", x)
    graph = b.build(b.node("Identity", x), y, b.node("Identity", y), b.node("Identity", b.const([1.0])))
    assert ops(remove_nodes.run(graph)) == ops(graph)


def test_only_the_ops_asked_for():
    b = Builder()
    graph = b.build(b.node("Relu", b.node("Identity", b.node("Relu6", b.input((1, 4))))))
    assert ops(remove_nodes.run(graph, op=["Relu6"])) == ["Identity", "Relu"]
