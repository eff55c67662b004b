"""Tests, corrections and intervals against counting and textbooks; then how often the whole rule is right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import comparison
from harness.comparison import Shift, holm, latency_verdict, mann_whitney, paired_ratio, repeat_noise, shift
from tests.support import noise


def test_mann_whitney_of_values_that_do_not_overlap():
    """2 / C(14, 7): of all ways to choose 7 of 14, the two outermost. With 6, 0.002 is out of reach."""
    assert mann_whitney(np.arange(7.0), np.arange(7.0) + 10) == pytest.approx(2 / 3432)
    assert mann_whitney(np.arange(6.0), np.arange(6.0) + 10) > comparison.LATENCY_ALPHA


def test_mann_whitney_of_equal_values():
    assert mann_whitney(np.ones(9), np.ones(9)) == 1
    assert mann_whitney(np.array([1.0, 1, 2, 2] * 3), np.array([1.0, 2, 2, 1] * 3)) > 0.9


def test_holm_of_the_textbook_example():
    """Three tests with 0.01, 0.04 and 0.03: times 3, 2 and 1 in their order, never falling."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_between_no_correction_and_bonferroni(p_values):
    for p, corrected in zip(p_values, holm(p_values), strict=True):
        assert p <= corrected <= min(1.0, p * len(p_values))


def test_shift_of_a_pure_slowdown():
    base = np.random.default_rng(1).normal(100, 1, 20)
    found = shift(base, base * 1.1)
    low, high = found.interval
    assert found.ratio == pytest.approx(1.1)
    assert 1.08 < low < 1.1 < high < 1.12
    assert found.p < 1e-6
    assert shift(base, base * 1.1) == found


def test_a_paired_ratio_does_not_see_what_drifts_from_round_to_round():
    drift = np.array([1.0, 1.5, 0.7])
    ratio, (low, high) = paired_ratio(10 * drift, 4 * drift)
    assert (ratio, low, high) == pytest.approx((0.4, 0.4, 0.4))
    assert paired_ratio(drift[:1], 2 * drift[:1]) == (pytest.approx(2), None)


@pytest.mark.parametrize("rounds", [2, 3, 10])
def test_the_interval_of_a_paired_ratio_holds_the_truth_as_often_as_it_says(rounds):
    rng = np.random.default_rng(1)
    base, new = np.exp(rng.normal(0, 0.1, (2, 2000, rounds))) * np.array([1, 0.8])[:, None, None]
    found = [paired_ratio(b, n)[1] for b, n in zip(base, new, strict=True)]
    assert np.mean([low <= 0.8 <= high for low, high in found]) == pytest.approx(0.95, abs=0.015)


def test_noise_of_a_device_is_how_far_its_repeats_lie_apart():
    assert repeat_noise([[10.0, 11.0], [50.0]]) == pytest.approx(0.1)
    assert repeat_noise([[3.0], []]) == 0


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (Shift(1.10, (1.08, 1.12), 1e-4), "regressed"),
        (Shift(0.90, (0.88, 0.92), 1e-4), "improved"),
        (Shift(1.10, (1.08, 1.12), 0.01), "inconclusive"),  # p alone says no
        (Shift(1.10, (0.99, 1.20), 1e-4), "inconclusive"),  # the interval holds 1
        (Shift(1.02, (1.01, 1.03), 1e-4), "no change"),  # significant, and too small to matter
        (Shift(1.00, (0.98, 1.02), 0.9), "no change"),
        (Shift(1.02, (0.90, 1.20), 0.9), "inconclusive"),
    ],
)
def test_verdict(found, verdict):
    assert latency_verdict(found, found.p) == verdict


def test_a_shift_within_the_devices_own_noise_is_not_announced():
    found = Shift(1.10, (1.08, 1.12), 1e-4)
    assert latency_verdict(found, found.p, bound=0.12) == "inconclusive"


# --- how often the rule is right ---

SOURCES = {
    "synthetic": noise.synthetic_session,
    "f32": noise.recorded_session("f32_shared"),
    "int8": noise.recorded_session("int8_shared"),
}


def check_rates(session, alarms: int, trials: int) -> None:
    """The issue's bounds: alarms in 1 % of A/A comparisons, 5 % found in 95 % and 10 % in 99 % of trials."""
    rng = np.random.default_rng(2)
    rates = {slow: noise.announced(rng, session, 1 + slow / 100, trials)[1] for slow in (5, 10, 20)}
    assert noise.announced(rng, session, 1, alarms)[1] <= 0.01
    assert rates[5] >= 0.95
    assert rates[10] >= 0.99
    assert rates[20] >= 0.99


@pytest.mark.parametrize("source", SOURCES)
def test_alarms_and_power_in_brief(monkeypatch, source):
    monkeypatch.setattr(comparison, "RESAMPLES", 500)
    check_rates(SOURCES[source], alarms=30, trials=20)


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
def test_alarms_and_power(source):
    check_rates(SOURCES[source], alarms=200, trials=100)


@pytest.mark.parametrize("busy", ["f32_busy", "int8_busy"])
def test_no_alarm_on_a_busy_machine(monkeypatch, busy):
    monkeypatch.setattr(comparison, "RESAMPLES", 500)
    assert noise.announced(np.random.default_rng(3), noise.recorded_session(busy), 1, 40)[1] == 0


def test_synthetic_noise_is_as_strong_as_the_recorded():
    rng = np.random.default_rng(4)
    made = np.log([noise.synthetic_session(rng, 20) for _ in range(40)])
    real = np.log(np.load(noise.TRACES)["int8_shared"])
    spreads = [
        (np.median(np.std(sessions, axis=1)), np.std(np.median(sessions, axis=1)))
        for sessions in (made, real)
    ]
    assert spreads[0] == pytest.approx(spreads[1], rel=0.6)
