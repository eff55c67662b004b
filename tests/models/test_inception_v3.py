import numpy as np
import pytest

from harness.changes import size
from harness.errors import FormatError
from models.architectures.inception_v3 import inception_v3, seeded


@pytest.fixture(scope="module")
def graph():
    return inception_v3(seeded())


def test_parameters_and_operations_are_those_of_the_paper(graph):
    parameters = sum(t.data.size for t in graph.tensors.values() if t.is_const)
    assert parameters == 23_871_049  # Keras counts 23,851,784 without gammas and with 1000 classes
    assert size(graph).macs == pytest.approx(5.7e9, rel=0.01)


@pytest.mark.parametrize(
    ("block", "shape"),
    [
        ("5d", (35, 35, 288)),
        ("6a", (17, 17, 768)),
        ("6e", (17, 17, 768)),
        ("7a", (8, 8, 1280)),
        ("7c", (8, 8, 2048)),
    ],
)
def test_grid_sizes_are_those_of_table_1(graph, block, shape):
    assert graph.tensors[f"InceptionV3/Mixed_{block}/concat"].shape == (1, *shape)


def test_a_seed_gives_the_same_weights():
    shape = (2, 3, 3, 4)
    a, b, c = (seeded(s)("x/weights", shape) for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_weights_of_another_shape_are_refused():
    with pytest.raises(FormatError, match=r"Conv2d_1a_3x3/weights' has shape \(1,\), not \(32, 3, 3, 3\)"):
        inception_v3(lambda name, shape: np.zeros(1))
