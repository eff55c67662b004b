"""The smooth activations against their formulas in the standard library's arithmetic."""

import math

import numpy as np
import pytest

from harness.ops import run_reference
from tests.support.graphs import Builder

FORMULAS = {
    "Logistic": lambda x: 1 / (1 + math.exp(-x)),
    "Tanh": math.tanh,
    "Erf": math.erf,
    "Swish": lambda x: x / (1 + math.exp(-x)),
    "HardSwish": lambda x: x * min(max(x + 3, 0), 6) / 6,
    "Gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
}


@pytest.mark.parametrize("op", FORMULAS)
def test_every_value(op):
    x = np.linspace(-8, 8, 401, dtype=np.float32)
    b = Builder()
    graph = b.build(b.node(op, b.input(x.shape)))
    (y,) = run_reference(graph, {"x": x}).values()
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, [FORMULAS[op](float(value)) for value in x], atol=1e-6)


def test_the_approximation_of_gelu_is_near_and_not_the_same():
    x = np.linspace(-4, 4, 101, dtype=np.float32)
    b = Builder()
    graph = b.build(*(b.node("Gelu", "x" if i else b.input(x.shape), approximate=bool(i)) for i in range(2)))
    exact, near = run_reference(graph, {"x": x}).values()
    assert 1e-5 < np.abs(exact - near).max() < 1e-3
