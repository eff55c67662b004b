import numpy as np
import pytest

from harness.graph import Graph, Node, Quantization, Tensor
from harness.importers.tflite_unsigned import to_int8
from harness.ops import infer_shapes
from harness.pack import arithmetic

U8, S8 = np.dtype(np.uint8), np.dtype(np.int8)


def chain(*ops):
    """x → op → … → y, every activation uint8 with scale 0.5 and zero point 100."""
    graph = Graph("chain", inputs=["t0"], outputs=[f"t{len(ops)}"])
    for i in range(len(ops) + 1):
        graph.tensors[f"t{i}"] = Tensor(f"t{i}", (1, 4, 4, 2), U8, None, Quantization(0.5, 100))
    graph.nodes = [Node(op, f"n{i}", [f"t{i}"], [f"t{i + 1}"], attrs) for i, (op, attrs) in enumerate(ops)]
    return graph


def converted(graph):
    to_int8(graph)
    return infer_shapes(graph.verify())


POOL = ("AveragePool2D", {"filter": (1, 1)})


def test_the_graphs_edges_stay_uint8():
    graph = converted(chain(("Relu", {}), POOL, ("Relu", {})))
    assert [n.op for n in graph.execution_order()] == [
        "Quantize",
        "Relu",
        "AveragePool2D",
        "Relu",
        "Quantize",
    ]
    assert (graph.inputs, graph.outputs) == (["t0"], ["t3"])
    assert [graph.tensors[name].dtype for name in ("t0", "t1", "t2", "t3")] == [U8, S8, S8, U8]
    assert [int(graph.tensors[name].quant.zero_point[0]) for name in ("t0", "t1", "t3")] == [100, -28, 100]
    assert {arithmetic(graph, node) for node in graph.nodes} == {"int8"}


def test_conversions_at_the_edges_read_and_write_uint8_themselves():
    graph = chain(("Quantize", {}), ("Relu", {}), ("Quantize", {}))
    assert [n.op for n in converted(graph).execution_order()] == ["Quantize", "Relu", "Quantize"]


def test_nodes_that_round_otherwise_know_it():
    graph = converted(chain(POOL, ("Relu", {})))
    assert [n.attrs.get("unsigned") for n in graph.execution_order()] == [None, True, None, None]


def test_values_stand_for_the_same_real_numbers():
    graph = chain(("Relu", {}))
    values = np.arange(256, dtype=np.uint8)
    graph.tensors["c"] = Tensor("c", (256,), U8, values, Quantization(0.1, 3))
    before = graph.tensors["c"].quant.dequantize(values)
    to_int8(graph)
    constant = graph.tensors["c"]
    assert constant.dtype == constant.data.dtype == S8
    assert np.array_equal(constant.quant.dequantize(constant.data), before)


@pytest.mark.parametrize("quant", [None, Quantization(1.0, 0)])
def test_bytes_that_stand_for_themselves_are_left_alone(quant):
    graph = chain()
    graph.tensors["t0"].quant = None
    graph.tensors["s8"] = Tensor("s8", (1,), S8, None, quant)
    graph.inputs.append("s8")
    before = graph.clone()
    to_int8(graph)
    assert graph == before
