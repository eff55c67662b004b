"""What holds for every pass, and for all of them together."""

import importlib
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import passes
from harness.errors import FormatError, UsageError
from harness.graph import Node, Tensor
from harness.ops import infer_shapes
from tests.support.graphs import Builder, small_network
from tests.support.pass_graphs import GRAPHS, assert_same_outputs, random_network, snapshot

PARAMS = {  # of passes that need some
    "remove_attribute": {"attribute_name": "note"},
    "rename_attribute": {"old_attribute_name": "note", "new_attribute_name": "remark"},
    "rename_op": {"old_op_name": "AddV2", "new_op_name": "Add"},
}
ROUNDING = {"quantize_nodes", "quantize_weights", "round_weights"}  # how far, their own tests say
LOSSY = {"decompose", "prune_channels", "prune_weights"}  # a smaller network each time, for training
ALL = {
    name: partial(passes.function(name), **PARAMS.get(name, {})) for name in passes.NAMES if name not in LOSSY
}


def check(run, graph, *, rounding=False):
    """Outputs unchanged (unless `rounding`), idempotent, verify() clean, the input graph untouched."""
    before = snapshot(graph)
    once = infer_shapes(run(graph).verify())
    assert snapshot(graph) == before
    if not rounding:
        assert_same_outputs(graph, once)
    twice = infer_shapes(run(once).verify())
    assert snapshot(twice) == snapshot(once)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("make", [*GRAPHS.values(), small_network], ids=lambda make: make.__name__)
def test_every_pass_is_a_pure_idempotent_rewrite(name, make):
    check(ALL[name], make(), rounding=name in ROUNDING)


@pytest.mark.parametrize("make", [*GRAPHS.values(), small_network], ids=lambda make: make.__name__)
def test_all_passes_together(make):
    check(passes.apply, make())


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 14))
def test_random_networks_keep_their_outputs(seed, steps):
    graph = random_network(np.random.default_rng(seed), steps)
    for name in ALL:
        check(ALL[name], graph, rounding=name in ROUNDING)
    check(passes.apply, graph)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 14), data=st.data())
def test_random_orders_keep_the_outputs(seed, steps, data):
    graph = random_network(np.random.default_rng(seed), steps)
    order = data.draw(st.permutations(sorted(ALL.keys() - ROUNDING)))
    after = graph
    for name in order:
        after = infer_shapes(ALL[name](after).verify())
    assert_same_outputs(graph, after)
    check(partial(passes.apply, names=[name for name in order if name not in PARAMS]), graph)


@pytest.mark.parametrize("name", passes.NAMES)
def test_every_pass_opens_with_its_picture_and_conditions(name):
    doc = importlib.import_module(f"harness.passes.{name}").__doc__
    assert doc.startswith(f"{name}: ")
    assert "Before" in doc
    assert "After" in doc
    assert "Condition" in doc


def test_what_runs_by_default_exists():
    assert set(passes.DEFAULT) <= set(passes.NAMES)


def test_only_the_passes_named_are_run():
    graph = GRAPHS["batch_norm_chain"]()
    after = passes.apply(graph, ["fold_constants"])
    assert "Rsqrt" not in {node.op for node in after.nodes}
    assert "Mul" in {node.op for node in after.nodes}
    assert passes.apply(graph, []).nodes == graph.nodes


def test_unknown_pass_suggests_the_nearest():
    with pytest.raises(UsageError, match="unknown transform 'fold_constant': did you mean fold_constants"):
        passes.apply(small_network(), ["fold_constant"])


def test_unsupported_op_is_refused_only_where_an_output_needs_it():
    graph = small_network()
    graph.nodes.append(Node("LRN", "odd", ["x"], ["odd:0"]))
    graph.tensors["odd:0"] = Tensor("odd:0", None, np.dtype(np.float32))
    assert "LRN" not in {node.op for node in passes.apply(graph).nodes}
    graph.outputs.append("odd:0")
    with pytest.raises(FormatError, match=r"op 'LRN' \(node 'odd'\) is not supported"):
        passes.apply(graph)


def test_values_that_float32_cannot_hold_are_left_unfolded():
    b = Builder()
    y = b.node("Conv2D", b.input((1, 1, 1, 1)), b.const(np.full((2, 1, 1, 1), 1e30), "w"))
    graph = passes.apply(b.build(b.node("Mul", y, b.const(np.array([1.0, 1e30])))))
    assert [node.op for node in graph.nodes] == ["Conv2D", "Mul"]
