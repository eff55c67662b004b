"""What a session takes of memory: constants in chunks and in mappings of their own, on every architecture."""

from __future__ import annotations

import numpy as np
import pytest

from harness.build import TARGETS
from harness.ops import run_reference
from tests.support import runner
from tests.support.graphs import Builder

# Outputs of each layer. Together they make a file of more than 16 MB, from which on constants lie in huge
# pages: the first two layers' (12 and 3 MB) in mappings of their own, the others' (1 MB and less) in chunks.
WIDTHS = (3072, 256, 1024, 256, 1024, 256, 1024, 256, 1024, 8, 3)


def network():
    b, rng = Builder("wide"), np.random.default_rng(0)
    b_in = tensor = b.input((1, 1024))
    wide = 1024
    for width in WIDTHS:
        weights = rng.normal(0, wide**-0.5, (width, wide)).astype(np.float32)
        tensor, wide = b.node("FullyConnected", tensor, b.const(weights)), width
    return b.build(tensor), b_in


@pytest.mark.parametrize("arch", sorted(TARGETS))
def test_constants_of_all_sizes_are_where_the_kernels_look(arch, tmp_path):
    graph, source = network()
    values = np.random.default_rng(1).normal(size=(1, 1024)).astype(np.float32)
    expected = run_reference(graph, {source: values})[graph.outputs[0]]
    (found,) = runner.predict(graph, [values], tmp_path, arch=arch)
    np.testing.assert_allclose(found, expected, atol=1e-4)
