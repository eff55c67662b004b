"""Statistics against values known from textbooks, from counting, or from a simulation with a known truth."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from harness import stats

RNG_SEED = 7


@pytest.mark.parametrize(("q", "needed"), [(90, 64), (95, 130), (99, 662)])
def test_percentile_only_where_the_sample_bears_it(q, needed):
    assert stats.percentile(np.arange(needed - 1.0), q) is None
    assert stats.percentile(np.arange(needed + 0.0), q) == pytest.approx(q / 100 * (needed - 1))


def test_mad_of_the_textbook_example():
    assert stats.mad(np.array([1, 1, 2, 2, 4, 6, 9])) == 1


# --- interval of the median ---


def test_interval_needs_two_processes():
    assert stats.median_interval([np.arange(100.0)]) is None


def test_interval_of_equal_runs_is_that_value():
    assert stats.median_interval([np.full(40, 5.0)] * 3) == (5, 5)


def test_interval_is_the_same_every_time():
    groups = list(np.random.default_rng(RNG_SEED).normal(10, 1, (3, 50)))
    assert stats.median_interval(groups) == stats.median_interval(groups)


def test_interval_spans_processes_that_differ():
    """Each process is almost constant: what varies is the process; an interval over runs would miss it."""
    noise = np.random.default_rng(RNG_SEED).normal(0, 0.01, (3, 500))
    low, high = stats.median_interval(list(noise + [[10], [11], [12]]))
    assert low == pytest.approx(10, abs=0.05)
    assert high == pytest.approx(12, abs=0.05)


def test_interval_covers_the_truth_with_many_processes():
    """Process medians ~ N(100, 2): of 60 intervals over 20 processes nearly all must hold 100."""
    rng = np.random.default_rng(RNG_SEED)
    held = 0
    for _ in range(60):
        groups = [rng.normal(centre, 1, 40) for centre in rng.normal(100, 2, 20)]
        low, high = stats.median_interval(groups)
        held += low <= 100 <= high
    assert held >= 52  # P(fewer) < 1 % at a true coverage of 95 %


def test_interval_of_thinned_groups_is_that_of_the_whole():
    rng = np.random.default_rng(RNG_SEED)
    long = [rng.gamma(4, 1, 200_000) for _ in range(3)]
    low, high = stats.median_interval(long)
    assert low < np.median(np.concatenate(long)) < high
    assert high - low < 0.3


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st_numpy.arrays(float, st.integers(1, 30), elements=st.floats(1, 1e6)), min_size=2, max_size=5)
)
def test_interval_lies_within_the_data(groups):
    low, high = stats.median_interval(groups)
    everything = np.concatenate(groups)
    assert everything.min() <= low <= high <= everything.max()


# --- shares ---


def test_wilson_interval_of_the_textbook_example():
    """Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662."""
    assert stats.wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_wilson_interval_at_the_ends():
    low, high = stats.wilson_interval(0, 10)
    assert (low, high) == (pytest.approx(0, abs=1e-12), pytest.approx(0.2775, abs=1e-4))
    assert stats.wilson_interval(10, 10)[1] == pytest.approx(1)


def paired(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = (both, only_a, only_b, neither)
    return np.repeat([1, 1, 0, 0], counts).astype(bool), np.repeat([1, 0, 1, 0], counts).astype(bool)


def test_mcnemar_counts_only_disagreements():
    """5 against 0 fair coins: 2 · ½⁵ = 0.0625, however many samples agree."""
    assert stats.mcnemar(*paired(0, 5, 0, 0)) == pytest.approx(0.0625)
    assert stats.mcnemar(*paired(1000, 0, 5, 700)) == pytest.approx(0.0625)


def test_mcnemar_counted_by_hand():
    """6 against 16: twice the chance of at most 6 heads in 22 fair tosses."""
    p = 2 * sum(math.comb(22, heads) for heads in range(7)) / 2**22
    assert stats.mcnemar(*paired(59, 6, 16, 80)) == pytest.approx(p)


def test_mcnemar_without_any_disagreement():
    assert stats.mcnemar(*paired(3, 0, 0, 2)) == 1


def test_mcnemar_refuses_predictions_that_are_not_paired():
    with pytest.raises(ValueError, match="differ in number"):
        stats.mcnemar(np.ones(3, bool), np.ones(4, bool))


# --- instability ---


def quiet(n: int = 200) -> np.ndarray:
    """Runs of 10 ms with 1 % of noise."""
    return np.random.default_rng(RNG_SEED).normal(10e6, 1e5, n)


def kinds(ns: np.ndarray) -> list[str]:
    return [warning.partition(":")[0] for warning in stats.instability_warnings(ns)]


def test_quiet_runs_give_no_warning():
    assert kinds(quiet()) == []


def test_each_check_fires_for_its_own_reason():
    rng = np.random.default_rng(RNG_SEED)
    assert kinds(rng.uniform(8e6, 12e6, 500)) == ["unstable"]
    assert kinds(np.append(quiet(), 15.5e6)) == ["wide", "outliers"]
    assert kinds(quiet() / 20) == ["short"]
    assert kinds(np.append(quiet(), 12e6)) == ["outliers"]


def test_every_warning_names_a_fix():
    noisy = np.append(np.random.default_rng(RNG_SEED).uniform(1e5, 9e5, 100), 1e9)
    warnings = stats.instability_warnings(noisy)
    assert len(warnings) == 4
    assert all("; " in warning for warning in warnings)


def test_outliers_are_flagged_where_they_are():
    values = np.append(np.arange(90.0, 111.0), 1000)
    assert np.flatnonzero(stats.outliers(values)).tolist() == [21]


def test_equal_values_on_a_coarse_clock_have_no_outliers():
    assert not stats.outliers(np.array([1000.0] * 50 + [1001.0] * 5)).any()
    assert stats.outliers(np.array([1000.0] * 50 + [2000.0])).sum() == 1
