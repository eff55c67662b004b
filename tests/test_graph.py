import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import FormatError
from harness.graph import Node, Quantization, Tensor
from tests.support.graphs import F32, Builder, small_network


def chain():
    b = Builder()
    x = b.input((2, 3))
    return b.build(b.node("Relu", b.node("Relu6", x, name="first"), name="second"))


def test_execution_order_puts_producers_first_whatever_the_file_order():
    graph = chain()
    graph.nodes.reverse()
    assert [n.name for n in graph.execution_order()] == ["first", "second"]


def test_cycle_is_named():
    graph = chain()
    graph.nodes[0].inputs[0] = graph.nodes[1].outputs[0]
    with pytest.raises(FormatError, match="cycle"):
        graph.verify()


def break_missing_input(graph):
    graph.nodes[0].inputs[0] = "nowhere"


def break_unwritten_input(graph):
    graph.tensors["ghost"] = Tensor("ghost", (2, 3), F32)
    graph.nodes[0].inputs[0] = "ghost"


def break_double_write(graph):
    graph.nodes.append(Node("Relu", "third", ["x"], [graph.nodes[0].outputs[0]]))


def break_same_name(graph):
    graph.nodes[1].name = "first"


def break_output(graph):
    graph.outputs = ["nowhere"]


def break_shape(graph):
    graph.tensors["x"].shape = (2, 0)


def break_constant(graph):
    graph.tensors["c"] = Tensor("c", (3,), F32, np.zeros(4, np.float32))


def break_scale(graph):
    graph.tensors["x"].quant = Quantization(0.0, 0)


def break_axis(graph):
    graph.tensors["x"].quant = Quantization([1.0, 1.0], [0, 0], axis=1)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_missing_input, "reads 'nowhere', which does not exist"),
        (break_unwritten_input, "reads 'ghost', which nothing writes"),
        (break_double_write, "writes already"),
        (break_same_name, "same name"),
        (break_output, "output 'nowhere' does not exist"),
        (break_shape, "impossible shape"),
        (break_constant, "says float32"),
        (break_scale, "not positive and finite"),
        (break_axis, "needs 3 scales but has 2"),
    ],
)
def test_verify_names_what_is_broken(damage, message):
    graph = chain()
    damage(graph)
    with pytest.raises(FormatError, match=message):
        graph.verify()


def test_clone_shares_arrays_but_not_structure():
    graph = small_network()
    copy = graph.clone()
    copy.nodes[0].attrs["stride"] = (1, 1)
    copy.nodes[0].inputs[0] = "other"
    copy.tensors["w1"].shape = ()
    assert graph.nodes[0].attrs["stride"] == (2, 2)
    assert graph.nodes[0].inputs[0] == "x"
    assert graph.tensors["w1"].shape == (8, 3, 3, 3)
    assert copy.tensors["w1"].data is graph.tensors["w1"].data


def test_drop_unused_tensors_keeps_what_nodes_and_outputs_touch():
    graph = chain()
    graph.add_const("left over", np.zeros(3, np.float32))
    graph.drop_unused_tensors()
    assert set(graph.tensors) == {"x", "first:0", "second:0"}


@given(st.floats(1e-3, 10), st.integers(-128, 127), st.lists(st.floats(-100, 100, width=32), min_size=1))
def test_quantize_is_within_half_a_step_or_saturated(scale, zero_point, values):
    quant = Quantization(scale, zero_point)
    real = np.array(values, np.float32)
    stored = quant.quantize(real, np.int8)
    back = quant.dequantize(stored)
    saturated = (stored == -128) | (stored == 127)
    assert np.all(saturated | (np.abs(back - real) <= quant.scale[0] * 0.5001))


def test_ties_round_away_from_zero():
    quant = Quantization(1.0, 0)
    assert quant.quantize(np.float32([0.5, 1.5, -0.5, -1.5, 0.49999997]), np.int8).tolist() == [
        1,
        2,
        -1,
        -2,
        0,
    ]


def test_per_channel_quantization_follows_its_axis():
    quant = Quantization([1.0, 0.5], [0, 0], axis=1)
    assert quant.quantize(np.float32([[2, 2], [3, 3]]), np.int8).tolist() == [[2, 4], [3, 6]]
