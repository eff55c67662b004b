import numpy as np
import pytest

from harness.passes import merge_pads
from tests.support.graphs import Builder
from tests.support.pass_graphs import assert_same_outputs


def pads(b, *pairs):
    return b.const(np.array(pairs, np.int32), "pads")


@pytest.mark.parametrize(("values", "nodes"), [((0.0, 0.0), 1), ((2.0, 2.0), 1), ((0.0, 2.0), 2)])
def test_two_of_one_value_are_one(values, nodes):
    b = Builder()
    y = b.node("Pad", b.input((3, 4)), pads(b, [1, 0], [0, 2]), value=values[0])
    graph = b.build(b.node("Pad", y, pads(b, [0, 3], [1, 1]), value=values[1]))
    after = merge_pads.run(graph)
    assert len(after.nodes) == nodes
    if nodes == 1:
        assert after.const(after.nodes[0].inputs[1]).tolist() == [[1, 3], [1, 3]]
    assert_same_outputs(graph, after)


def test_padding_by_nothing_goes():
    b = Builder()
    y = b.node("Pad", b.node("Relu", b.input((3, 4))), pads(b, [0, 0], [0, 0]))
    graph = b.build(y)
    after = merge_pads.run(graph)
    assert [node.op for node in after.nodes] == ["Relu"]
    assert_same_outputs(graph, after)
