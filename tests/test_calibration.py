"""What the C runtime observes on calibration samples is what the NumPy references compute."""

from __future__ import annotations

import numpy as np
import pytest

from harness.calibration import Calibration
from harness.datasets import calibration_split, open_dataset
from harness.errors import TrialError, UsageError
from harness.layer_costs import Meter
from harness.passes import turn_inputs
from harness.quantize.draft import Draft
from models import Preprocess
from tests.support.graphs import Builder, small_network
from tests.support.learned import Learned

SAMPLES = 20  # more than a process takes


def silent(*_shown):
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Float samples of five classes."""
    folder = tmp_path_factory.mktemp("samples")
    for i, values in enumerate(np.random.default_rng(0).normal(size=(SAMPLES, 9, 9, 3))):
        (folder / str(i % 5)).mkdir(exist_ok=True)
        np.save(folder / str(i % 5) / f"{i:02d}.npy", values.astype(np.float32))
    return folder


@pytest.fixture(scope="module")
def both(folder, tmp_path_factory):
    """The C runtime's and the references'."""
    dataset = calibration_split(open_dataset(folder, Preprocess(), (1, 9, 9, 3)), SAMPLES)
    values = np.concatenate([dataset.reals(i) for i in range(len(dataset))])
    return (
        Calibration(dataset, tmp_path_factory.mktemp("work"), silent),
        Learned(values, dataset.labels),
    )


def test_activations_and_their_histograms(both):
    found, expected = (learned.activations(small_network(), bins=True) for learned in both)
    assert found.keys() == expected.keys()
    for name, seen in expected.items():
        np.testing.assert_allclose(found[name].samples, seen.samples, rtol=1e-4, atol=1e-5)
        assert found[name].bins.sum() == seen.bins.sum()
        moved = np.abs(found[name].bins.astype(int) - seen.bins).sum()
        assert moved <= 0.05 * seen.bins.sum(), name  # values at the edge of a bin


def test_channels(both):
    graph = small_network()
    names = [node.outputs[0] for node in graph.nodes[:3]] + ["x"]
    found, expected = (learned.channels(graph, names) for learned in both)
    for name in names:
        for part in ("least", "largest", "mean"):
            exact = getattr(expected[name], part)
            np.testing.assert_allclose(getattr(found[name], part), exact, rtol=1e-4, atol=1e-5)


def test_values_of_a_float_and_of_an_int8_graph_and_their_labels(both):
    graph = small_network()
    quantized = Draft(graph, both[0]).quantized()
    names = [graph.nodes[1].outputs[0], graph.outputs[0]]
    exact = both[1].values(graph, names, SAMPLES)
    for each, tolerance in ((graph, 1e-5), (quantized, 0.1)):
        found = both[0].values(each, names, SAMPLES)
        for name in names:
            np.testing.assert_allclose(found[name], exact[name], atol=tolerance * exact[name].max())
    np.testing.assert_array_equal(both[0].labels(SAMPLES), both[1].labels(SAMPLES))
    assert len(both[0].values(graph, names, 3)[names[0]]) == len(both[0].labels(3)) == 3


def test_a_network_that_takes_channels_first(both):
    b = Builder()
    x = b.node("Transpose", b.input((1, 3, 9, 9)), b.const(np.array([0, 2, 3, 1], np.int32)))
    y = b.node("Conv2D", x, b.const(np.random.default_rng(1).normal(size=(2, 3, 3, 3))))
    graph = b.build(y)
    turned = turn_inputs.run(graph)
    assert {x, y, "x"} <= both[0].activations(graph, bins=True).keys()
    np.testing.assert_array_equal(
        both[0].channels(graph, [x])[x].mean, both[0].channels(turned, turned.inputs)[turned.inputs[0]].mean
    )
    assert both[0].values(graph, [x, y], 2)[x].shape == (2, 9, 9, 3)


def test_an_activation_that_is_not_finite_is_named(both):
    b = Builder()
    y = b.node("Rsqrt", b.input((1, 9, 9, 3)), name="root")
    with pytest.raises(TrialError, match="tensor 'root:0' is not finite"):
        both[0].channels(b.build(y), [y])


def test_a_latency_budget_makes_the_device_a_part_of_what_is_learned(both, tmp_path):
    dataset = both[0].samples

    class Known(Meter):
        identity = property(lambda meter: meter.device)

    one, again, other = (Calibration(dataset, tmp_path, silent, Known(name)) for name in ("a", "a", "b"))
    budget = "one_scale mixed(slower=0.1)"
    assert one.contents(budget) == again.contents(budget) != other.contents(budget)
    for steps in ("one_scale mixed(keep=1)", None):
        assert one.contents(steps) == other.contents(steps) == both[0].contents(steps)


def test_without_one_device_no_cost_is_known(both):
    with pytest.raises(UsageError, match="give one with --device"):
        both[0].costs(small_network())
