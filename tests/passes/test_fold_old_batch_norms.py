import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.passes import apply, fold_old_batch_norms
from tests.support.graphs import Builder
from tests.support.pass_graphs import assert_same_outputs, batch_norm_chain


def test_unfused_batch_norms_leave_nothing_behind():
    graph = batch_norm_chain()
    after = apply(graph)
    assert [(n.op, n.attrs["activation"]) for n in after.nodes] == [
        ("Conv2D", "relu6"),
        ("DepthwiseConv2D", "relu6"),
    ]
    assert_same_outputs(graph, after)


@settings(deadline=None, max_examples=50)
@given(
    run=st.lists(st.tuples(st.sampled_from(["Add", "Sub", "Mul"]), st.booleans()), min_size=1, max_size=5),
    biased=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_run_of_arithmetic_folds_with_the_constant_on_either_side(run, biased, seed):
    rng = np.random.default_rng(seed)
    b = Builder()
    w = b.const(rng.normal(size=(3, 1, 1, 2)), "w")
    bias = [b.const(rng.normal(size=3), "b")] if biased else []
    y = b.node("Conv2D", b.input((1, 2, 2, 2)), w, *bias)
    for op, first in run:
        constant = b.const(rng.normal(size=3))
        y = b.node(op, *((constant, y) if first else (y, constant)))
    graph = b.build(y)
    after = fold_old_batch_norms.run(graph)
    assert [node.op for node in after.nodes] == ["Conv2D"]
    assert_same_outputs(graph, after)


def test_a_run_is_rounded_once():
    """Two factors whose product rounds differently one after the other than together."""
    rng = np.random.default_rng(0)
    weights, first, second = (rng.normal(size=64).astype(np.float32) for _ in range(3))
    b = Builder()
    y = b.node("Conv2D", b.input((1, 1, 1, 1)), b.const(weights.reshape(64, 1, 1, 1), "w"))
    graph = b.build(b.node("Mul", b.node("Mul", y, b.const(first)), b.const(second)))
    after = fold_old_batch_norms.run(graph)
    folded = after.const(after.nodes[0].inputs[1]).reshape(64)
    exact = (weights.astype(np.float64) * first * second).astype(np.float32)
    np.testing.assert_array_equal(folded, exact)
    assert (folded != weights * first * second).any()


def test_a_value_added_to_itself_is_left():
    b = Builder()
    y = b.node("Conv2D", b.input((1, 1, 1, 1)), b.const(np.ones((1, 1, 1, 1)), "w"))
    assert len(fold_old_batch_norms.run(b.build(b.node("Add", y, y))).nodes) == 2
