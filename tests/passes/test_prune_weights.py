import zlib

import numpy as np
import pytest

from harness.errors import UsageError
from harness.pack import pack
from harness.passes import prune_weights
from tests.support.graphs import small_network


def test_the_smallest_of_each_layer_become_zero():
    graph = small_network()
    pruned = prune_weights.run(graph, fraction=0.25, minimum_size=96)
    for node in pruned.nodes:
        if len(node.inputs) > 1:
            before, after = graph.const(node.inputs[1]), pruned.const(node.inputs[1])
            gone = after == 0
            assert gone.sum() == (before.size // 4 if before.size >= 96 else 0)
            assert not gone.any() or np.abs(before[gone]).max() <= np.abs(before[~gone]).min()
            np.testing.assert_array_equal(before[~gone], after[~gone])


def test_the_file_compresses_better():
    graph = small_network()
    sizes = [len(zlib.compress(pack(g))) for g in (graph, prune_weights.run(graph, 0.8, minimum_size=1))]
    assert sizes[1] < 0.8 * sizes[0]


def test_a_fraction_is_between_0_and_1():
    with pytest.raises(UsageError, match="fraction=2.0 is not between 0 and 1"):
        prune_weights.run(small_network(), fraction=2.0)
