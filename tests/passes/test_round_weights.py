import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from harness.errors import UsageError
from harness.pack import pack
from harness.passes import round_weights
from tests.support.graphs import Builder


def weights(values):
    b = Builder()
    return b.build(b.node("Add", b.input(values.shape), b.const(values, "w")))


def rounded(values, num_steps):
    return round_weights.run(weights(values), num_steps).const("w")


def test_values_between_the_extremes():
    assert rounded(np.float32([-1, -0.3, 0.2, 0.9, 1.0]), 3).tolist() == [-1, 0, 0, 1, 1]


@given(
    arrays.arrays(np.float32, 40, elements=st.floats(-(2.0**99), 2.0**99, width=32)),
    st.integers(2, 20),
)
def test_few_values_each_near_and_rounding_again_changes_nothing(values, num_steps):
    result = rounded(values, num_steps)
    assert len(np.unique(result)) <= num_steps
    step = (float(values.max()) - float(values.min())) / (num_steps - 1)
    bound = step / 2 * (1 + 1e-3) + 1e-6 * float(np.abs(values).max())
    assert np.abs(result.astype(np.float64) - values).max() <= bound
    assert rounded(result, num_steps).tobytes() == result.tobytes()


def test_compresses_better():
    values = np.random.default_rng(0).normal(size=10_000).astype(np.float32)
    before, after = (pack(g) for g in (weights(values), round_weights.run(weights(values))))
    assert len(before) == len(after)
    assert len(zlib.compress(after)) < 0.5 * len(zlib.compress(before))


@pytest.mark.parametrize(
    "values", [np.float32([1, 2, 3]), np.ones(9, np.float32), np.float32([1, np.inf] * 4)]
)
def test_small_constant_and_infinite_ones_stay(values):
    np.testing.assert_array_equal(rounded(values, 3), values)


def test_one_step_is_refused():
    with pytest.raises(UsageError, match="num_steps=1, but it takes at least 2"):
        round_weights.run(weights(np.ones(3, np.float32)), 1)
