import numpy as np
import pytest

from harness.graph import Quantization
from harness.passes import dequantize_weights
from tests.support.graphs import Builder


@pytest.mark.parametrize("scale", [[0.5], [0.5, 2.0]])
def test_int8_weights_become_what_they_stand_for(scale):
    b = Builder()
    w = b.const(np.array([[1, -2], [3, 4]], np.int8), "w")
    axis = 0 if len(scale) > 1 else None
    b.graph.tensors[w].quant = Quantization(scale, np.zeros(len(scale)), axis)
    after = dequantize_weights.run(b.build(b.node("FullyConnected", b.input((1, 2)), w)))
    weights = after.tensors[after.nodes[0].inputs[1]]
    assert (weights.dtype, weights.quant) == (np.float32, None)
    np.testing.assert_array_equal(weights.data, [[0.5, -1], [3 * scale[-1], 4 * scale[-1]]])


def test_full_integer_nodes_are_left():
    b = Builder()
    w = b.const(np.ones((2, 2), np.int8), "w")
    b.graph.tensors[w].quant = Quantization(0.5, 0)
    graph = b.build(b.node("FullyConnected", b.input((1, 2)), w))
    for name in ("x", graph.outputs[0]):
        graph.tensors[name].dtype, graph.tensors[name].quant = np.dtype(np.int8), Quantization(0.1, 3)
    assert dequantize_weights.run(graph).tensors[w].dtype == np.int8
