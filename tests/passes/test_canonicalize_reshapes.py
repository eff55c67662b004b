import numpy as np

from harness.passes import canonicalize_reshapes
from tests.support.graphs import Builder
from tests.support.pass_graphs import reshapes


def test_every_reshape_says_its_shape_and_chains_join():
    after = canonicalize_reshapes.run(reshapes())
    assert [(n.op, n.inputs[0], n.attrs) for n in after.nodes if n.op != "Softmax"] == [
        ("Reshape", "x", {"shape": (2, 6)}),
        ("Reshape", after.nodes[1].outputs[0], {"shape": (1, 12)}),
    ]
    assert not any(tensor.is_const for tensor in after.tensors.values())


def test_a_value_that_others_read_stays():
    b = Builder()
    y = b.node("Reshape", b.input((2, 3)), b.const(np.array([3, -1], np.int32)))
    graph = b.build(b.node("Reshape", y, shape=(6,)), b.node("Relu", y))
    assert [n.attrs.get("shape") for n in canonicalize_reshapes.run(graph).nodes] == [(3, 2), (6,), None]
