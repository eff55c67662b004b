"""Behind an op that is not known no shape is: passes leave alone what they cannot check."""

import numpy as np
import pytest

from harness.errors import FormatError
from harness.passes import apply
from tests.support.graphs import Builder


def hostile_sums(b, x):
    y = b.node("Mul", b.node("Mul", x, b.const(np.ones(3))), b.const(np.ones(4)))
    return b.node("Add", b.node("Add", y, b.const(np.ones((2, 5)))), b.const(np.ones(7)))


def hostile_transposes(b, x):
    y = b.node("Transpose", x, b.const(np.array([0, 1, 2], np.int32)))
    return b.node("Transpose", y, b.const(np.array([5, 9, -7], np.int32)))


def hostile_pads(b, x):
    y = b.node("Pad", x, b.const(np.zeros((3, 2), np.int32)))
    return b.node("Pad", y, b.const(np.zeros(5, np.int32)))


def hostile_batches(b, x):
    block = b.const(np.array([2, 2, 2], np.int32))
    y = b.node("SpaceToBatchND", x, block, b.const(np.zeros(1, np.int32)))
    y = b.node("Conv2D", y, b.const(np.zeros((2, 2))))
    return b.node("BatchToSpaceND", y, block, b.const(np.zeros((9, 9), np.int32)))


def hostile_weights(b, x):
    y = b.node(
        "BatchNorm", b.node("Mul", x, b.const(np.ones((2, 3)))), *(b.const(np.ones(4)) for _ in range(4))
    )
    y = b.node("DepthwiseConv2D", y, b.const(np.ones(())), b.const(np.ones((2, 2))))
    return b.node("FullyConnected", b.node("BiasAdd", y, b.const(np.ones((3, 3)))), b.const(np.ones(2)))


@pytest.mark.parametrize(
    "make", [hostile_sums, hostile_transposes, hostile_pads, hostile_batches, hostile_weights]
)
def test_the_unknown_op_is_what_is_refused(make):
    b = Builder()
    b.graph.outputs = [make(b, b.node("Mystery", b.input((1, 2, 3)), name="odd"))]
    with pytest.raises(FormatError, match=r"op 'Mystery' \(node 'odd'\) is not supported"):
        apply(b.graph)
