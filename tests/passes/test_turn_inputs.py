import numpy as np
import pytest

from harness.ops import run_reference
from harness.passes import turn_inputs
from tests.support.graphs import Builder


def turned(b, x, perm=(0, 2, 3, 1)):
    return b.node("Transpose", x, b.const(np.array(perm, np.int32), "perm"))


def test_the_input_is_taken_channels_last():
    b = Builder()
    x = b.input((1, 3, 4, 5))
    graph = b.build(b.node("Relu", turned(b, x)), b.node("Relu6", turned(b, x)))
    changed = turn_inputs.run(graph)
    assert changed.tensors[x].shape == (1, 4, 5, 3)
    assert [node.op for node in changed.nodes] == ["Relu", "Relu6"]
    values = np.random.default_rng(0).normal(size=(1, 3, 4, 5)).astype(np.float32)
    before = run_reference(graph, {x: values})
    after = run_reference(changed, {x: values.transpose(0, 2, 3, 1)})
    for name in graph.outputs:
        np.testing.assert_array_equal(after[name], before[name])


@pytest.mark.parametrize("case", ["read as it is", "another order", "an output", "no images"])
def test_other_inputs_stay(case):
    b = Builder()
    x = b.input((1, 3, 4, 5) if case != "no images" else (3, 4))
    if case == "no images":
        graph = b.build(b.node("Relu", turned(b, x, (1, 0))))
    elif case == "another order":
        graph = b.build(b.node("Relu", turned(b, x, (0, 3, 1, 2))))
    elif case == "an output":
        graph = b.build(turned(b, x))
    else:
        graph = b.build(b.node("Relu", turned(b, x)), b.node("Relu", x))
    assert turn_inputs.run(graph).nodes == graph.nodes
