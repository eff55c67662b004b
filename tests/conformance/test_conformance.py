"""The conformance suite as tests: a few configurations of each op here by default, all of them when slow."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conformance import cases  # noqa: F401 (registers the cases)
from tests.conformance.check import DEVICES, check, difference
from tests.conformance.draw import CASES

FEW, ALL = 8, 50
EACH = pytest.mark.parametrize("case", [CASES[key] for key in sorted(CASES)], ids=lambda case: case.name)


@EACH
def test_conforms_here(case):
    assert not check(case, list(range(FEW)), ["local"])


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@EACH
def test_conforms_everywhere(case, device):
    assert not check(case, list(range(ALL)), [device])


def test_differences_are_seen():
    values = np.array([1.0, 2.0, np.nan, np.inf], np.float32)
    assert difference(values, values.copy(), values) is None
    assert difference(values * np.float32(1 + 5e-7), values, values) is None
    assert "1 of 4 differ, first at (1,)" in difference(values + np.float32([0, 1e-4, 0, 0]), values, values)
    assert difference(values + np.float32([0, 1e-4, 0, 0]), values, 100 * values) is None
    assert "expected int8(1,)" in difference(np.zeros(1, np.uint8), *[np.zeros(1, np.int8)] * 2)
    assert "1 of 2 differ" in difference(np.float32([np.inf, 1]), np.float32([3, 1]), np.float32([np.inf, 1]))
