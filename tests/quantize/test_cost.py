"""What a network with layers kept in float costs is what its parts do."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.quantize import int8
from harness.quantize.cost import Costs
from harness.quantize.draft import Draft
from harness.quantize.stages import STAGES, WITHOUT_PAIRS
from tests.support.graphs import Builder, small_network
from tests.support.learned import Learned


def branches():
    """Two layers read the input; what one writes is an output, and read by two more."""
    b, rng = Builder("branches"), np.random.default_rng(0)
    x = b.input((1, 9, 9, 3))
    left, right = (b.node("Conv2D", x, b.const(rng.normal(size=(4, 3, 3, 3))), padding="SAME") for _ in "ab")
    pooled = b.node("MaxPool2D", left, filter=(2, 2), stride=(2, 2))
    added = b.node("Add", left, right)
    return b.build(left, b.node("Reshape", added, shape=(1, 324)), b.node("Logistic", pooled))


def unconvertible():
    """An op without an int8 form between two that have one."""
    b = Builder("unconvertible")
    x = b.node("Relu", b.input((1, 9, 9, 3)))
    return b.build(b.node("Relu", b.node("Cos", x)))


DRAFTS = {
    make: Draft(make(), Learned(np.random.default_rng(0).normal(size=(2, 9, 9, 3))))
    for make in (small_network, branches, unconvertible)
}


@pytest.mark.parametrize("make", DRAFTS)
@settings(max_examples=8)
@given(data=st.data())
def test_the_sum_of_the_parts_is_the_cost_of_the_whole(make, data):
    stages = (1, WITHOUT_PAIRS) if make is unconvertible else STAGES
    stage = data.draw(st.sampled_from(stages))
    draft = Draft(DRAFTS[make].graph, DRAFTS[make].learned, stage=stage)
    kept = frozenset(data.draw(st.sets(st.sampled_from([node.name for node in draft.graph.nodes]))))
    costs, graph = Costs(draft), draft.keeping(kept).quantized()
    found = Counter((node.op, graph.tensors[node.inputs[0]].shape) for node in graph.nodes)
    shapes = {name: tensor.shape for name, tensor in draft.graph.tensors.items()}
    expected = Counter((op, shapes[name]) for op, name in costs.conversions(kept))
    assert {key: n for key, n in found.items() if key[0] in int8.CONVERSIONS} == expected
    assert costs.slower(kept) == pytest.approx(costs.measured(kept), abs=1e-12)


def test_nothing_kept_costs_nothing():
    costs = Costs(DRAFTS[small_network])
    assert costs.slower(frozenset()) == 0
    everything = frozenset(node.name for node in DRAFTS[small_network].graph.nodes)
    assert costs.slower(everything) == pytest.approx(1)  # a float element costs twice as much as an int8 one
