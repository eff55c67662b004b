import numpy as np
import pytest

from harness.graph import Graph, Node, Quantization, Tensor
from harness.node_fields import node_fields

HALVES = Quantization(np.float32(0.5), 10)


@pytest.mark.parametrize(
    ("value", "dtype", "quant", "stored"),
    [
        (0.0, np.float32, None, np.float32(0).tobytes()),
        (-1.5, np.float32, None, np.float32(-1.5).tobytes()),
        (0.0, np.int8, HALVES, b"\x0a"),
        (3.0, np.int8, HALVES, b"\x10"),
        (1000.0, np.int8, HALVES, b"\x7f"),
        (-(2**40), np.int64, None, np.int64(-(2**40)).tobytes()),
        (True, np.bool_, None, b"\x01"),
    ],
)
def test_a_padding_value_is_stored_as_the_output_stores_its_values(value, dtype, quant, stored):
    node = Node("Pad", "pad", ["x", "paddings"], ["y"], {"value": value})
    graph = Graph(tensors={"y": Tensor("y", (4,), np.dtype(dtype), None, quant)}, nodes=[node])
    assert np.array(node_fields(graph, node)["options"], "<i4").tobytes() == stored.ljust(8, b"\0")


def test_axes_of_a_gather_count_from_the_front():
    node = Node("Gather", "gather", ["x", "i"], ["y"], {"axis": -1, "batch_dims": -1})
    tensors = {
        "x": Tensor("x", (2, 3, 4), np.dtype(np.float32)),
        "i": Tensor("i", (2, 5), np.dtype(np.int32)),
    }
    assert node_fields(Graph(tensors=tensors, nodes=[node]), node) == {"axis": 2, "options": [1]}


def test_an_op_without_fields_sets_none():
    assert node_fields(Graph(), Node("Relu", "relu", ["x"], ["y"])) == {}
