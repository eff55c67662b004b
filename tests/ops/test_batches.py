"""SpaceToBatchND and BatchToSpaceND by their definition, pixel by pixel."""

import numpy as np
import pytest

from harness.errors import FormatError
from harness.ops import run_reference
from tests.support.graphs import Builder


def batched(op, shape, block, pairs):
    b = Builder()
    arguments = (b.const(np.array(values, np.int32)) for values in (block, pairs))
    return b.build(b.node(op, b.input(shape), *arguments))


def run(graph, x):
    return run_reference(graph, {"x": x})[graph.outputs[0]]


def test_every_image_holds_the_pixels_at_one_offset():
    graph = batched("SpaceToBatchND", (2, 5, 4, 3), (2, 3), ((1, 0), (0, 2)))
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    y, padded = run(graph, x), np.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0)))
    assert y.shape == graph.tensors[graph.outputs[0]].shape == (12, 3, 2, 3)
    for row in range(2):
        for column in range(3):
            image = (row * 3 + column) * 2
            np.testing.assert_array_equal(y[image : image + 2], padded[:, row::2, column::3])


def test_the_inverse_crops():
    there = batched("SpaceToBatchND", (2, 5, 4, 3), (2, 3), ((1, 0), (0, 2)))
    back = batched("BatchToSpaceND", (12, 3, 2, 3), (2, 3), ((1, 0), (0, 2)))
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    assert back.tensors[back.outputs[0]].shape == x.shape
    np.testing.assert_array_equal(run(back, run(there, x)), x)


@pytest.mark.parametrize(
    ("op", "shape", "block", "pairs"),
    [
        ("SpaceToBatchND", (1, 5, 4, 3), (2, 2), ((0, 0), (0, 0))),
        ("SpaceToBatchND", (1, 4, 4, 3), (0, 2), ((0, 0), (0, 0))),
        ("SpaceToBatchND", (1, 4, 4, 3), (2, 2), ((0, 0),)),
        ("BatchToSpaceND", (3, 4, 4, 3), (2, 2), ((0, 0), (0, 0))),
        ("BatchToSpaceND", (4, 1, 1, 3), (2, 2), ((1, 1), (0, 0))),
    ],
)
def test_what_does_not_fit_is_refused(op, shape, block, pairs):
    with pytest.raises(FormatError, match=rf"\({op}\): inputs do not fit"):
        batched(op, shape, block, pairs)
