from harness.passes import strip_unused_nodes
from tests.support.graphs import Builder


def test_dead_ends_unread_inputs_and_constants_go():
    b = Builder()
    x, keep_prob = b.input((1, 4)), b.input((1, 4), "keep_prob")
    y = b.node("Relu", x)
    b.node("Add", b.node("Relu6", y), b.node("Mul", keep_prob, b.const([1.0], "rate")))
    after = strip_unused_nodes.run(b.build(y))
    assert [node.op for node in after.nodes] == ["Relu"]
    assert after.inputs == ["x"]
    assert set(after.tensors) == {"x", y}


def test_an_input_that_is_an_output_stays():
    b = Builder()
    x = b.input((1, 4))
    after = strip_unused_nodes.run(b.build(x))
    assert (after.inputs, after.outputs) == (["x"], ["x"])
