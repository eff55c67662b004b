"""Observers: ranges lie inside what was seen, and each is best at what it is for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from harness.errors import UsageError
from harness.quantize import observers
from harness.quantize.observers import Activation, entropy, min_max, moving_average, mse, percentile

VALUES = arrays.arrays(np.float64, (4, 60), elements=st.floats(-50, 50, width=32))


def seen(values: np.ndarray, bins: int = 512) -> Activation:
    """values: (samples, n)."""
    low, high = values.min(), values.max()
    counts = np.histogram(values, bins, (low, high if high > low else low + 1))[0]
    return Activation(np.stack([values.min(1), values.max(1)], 1), counts)


@pytest.mark.parametrize("name", observers.NAMES)
@settings(max_examples=20)
@given(values=VALUES)
def test_a_range_lies_inside_what_was_seen(name, values):
    activation = seen(values)
    chosen = observers.function(name)(activation)
    width = activation.range.high - activation.range.low
    assert chosen.low <= chosen.high
    assert activation.range.low - 1e-9 * width <= chosen.low
    assert chosen.high <= activation.range.high + 1e-9 * width


@settings(max_examples=20)
@given(values=VALUES)
def test_mse_is_never_worse_than_min_max(values):
    activation = seen(values)
    centres, counts = activation.centres, activation.bins.astype(float)
    chosen, whole = mse.choose(activation), min_max.choose(activation)
    assert mse.error(chosen, centres, counts) <= mse.error(whole, centres, counts)


@pytest.mark.parametrize("name", observers.NAMES)
@pytest.mark.parametrize("constant", [0.0, 3.0, -2.5])
def test_a_constant_activation_is_its_own_range(name, constant):
    chosen = observers.function(name)(seen(np.full((3, 10), constant)))
    assert min(chosen.low, 0) == pytest.approx(min(constant, 0), abs=0.01)
    assert max(chosen.high, 0) == pytest.approx(max(constant, 0), abs=0.01)


@pytest.mark.parametrize("name", ["mse", "percentile", "entropy", "moving_average"])
def test_one_outlier_among_many_does_not_set_the_range(name):
    values = np.abs(np.random.default_rng(0).normal(size=(50, 4000)))
    values[7, 3] = 60.0
    assert observers.function(name)(seen(values, 2048)).high < (50 if name == "mse" else 15)
    assert min_max.choose(seen(values)).high == 60


def test_a_rectified_activation_keeps_its_zero():
    values = np.maximum(np.random.default_rng(1).normal(size=(20, 500)), 0)
    for choose in (mse.choose, percentile.choose, entropy.choose):
        assert choose(seen(values)).low == 0


def test_percentile_cuts_off_the_share_it_says():
    values = np.random.default_rng(2).uniform(-1, 1, (10, 10_000))
    chosen = percentile.choose(seen(values, 2048), percent=90.0)
    assert (chosen.low, chosen.high) == pytest.approx((-0.9, 0.9), abs=0.01)
    whole = percentile.choose(seen(values, 2048), percent=100.0)
    assert (whole.low, whole.high) == pytest.approx((-1, 1), abs=0.01)


def test_moving_average_of_known_samples():
    activation = Activation(np.array([[0.0, 1.0], [-1.0, 2.0], [-1.0, 4.0]]))
    chosen = moving_average.choose(activation, momentum=0.5)
    assert (chosen.low, chosen.high) == (-0.75, 2.75)


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda a: percentile.choose(a, percent=30.0), "percent=30.0 is not above 50"),
        (lambda a: moving_average.choose(a, momentum=1.0), "momentum=1.0 is not at least 0"),
        (lambda a: observers.function("msse"), "unknown observer 'msse'.*mse"),
    ],
)
def test_what_cannot_be_is_refused(choose, message):
    with pytest.raises(UsageError, match=message):
        choose(seen(np.ones((2, 2))))
