"""Gradients of simulated quantization against their formulas, scales against the quantizer's."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from harness.quantize.calibrate import Range, activation_quantization  # noqa: E402
from harness.quantize.weights import channel_scales, safe_scales  # noqa: E402
from harness.train.fake_quant import fake_quantize, nearest, on_grid, weight_scales  # noqa: E402
from harness.train.ranges import Ranges  # noqa: E402


def test_ties_are_away_from_zero():
    x = torch.tensor([-2.5, -0.5, 0.5, 1.5, 2.4])
    assert nearest(x).tolist() == [-3, -1, 1, 2, 2]


def test_values_are_on_the_grid_and_gradients_are_those_of_lsq():
    scale = torch.tensor(0.5, requires_grad=True)
    zero_point = torch.tensor(-100.0, requires_grad=True)
    x = torch.tensor([-14.3, -20.0, 0.1, 0.3, 113.4, 120.0], requires_grad=True)
    y = fake_quantize(x, scale, zero_point)
    assert y.tolist() == [-14.0, -14.0, 0.0, 0.5, 113.5, 113.5]
    y.sum().backward()
    assert x.grad.tolist() == [0, 0, 1, 1, 1, 0]
    inside = [round(v / 0.5) - v / 0.5 for v in (0.1, 0.3, 113.4)]
    assert scale.grad.item() == pytest.approx(sum(inside) - 28 - 28 + 227, abs=1e-3)
    assert zero_point.grad.item() == pytest.approx(-0.5 * 3)


def test_both_roundings_agree_but_for_ties():
    x = torch.from_numpy(np.random.default_rng(0).normal(size=1000).astype(np.float32))
    scale, zero_point = torch.tensor(0.0123), torch.tensor(7.0)
    np.testing.assert_allclose(
        fake_quantize(x, scale, zero_point).numpy(), on_grid(x, scale, zero_point).numpy(), atol=1e-6
    )


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 6.0), (-3.21, 0.0), (0.5, 2.0), (0.0, 0.0)])
def test_ranges_quantize_as_the_quantizer_does(low, high):
    ranges = Ranges({"a": Range(low, high)})
    scale, zero_point = ranges.quantization("a")
    expected = activation_quantization(ranges.range("a"))
    assert (scale.item(), zero_point.item()) == (expected.scale[0], expected.zero_point[0])
    assert expected.scale[0] == activation_quantization(Range(low, high)).scale[0]


def test_both_ends_of_a_range_are_learned():
    ranges = Ranges({"a": Range(-1.0, 2.0)})
    ranges.quantization("a")[0].backward()
    assert (ranges.change.grad != 0).all()


@pytest.mark.parametrize("axis", [0, 3])
def test_weight_scales_are_the_quantizers(axis):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(6, 3, 3, 6)).astype(np.float32)
    weights[:, :, :, 2] *= 1e-12 if axis == 3 else 1
    weights[4] *= 1e-12 if axis == 0 else 1
    bias, input_scale = rng.normal(size=6).astype(np.float32), np.float32(0.02)
    expected = safe_scales(channel_scales(weights, axis), bias, input_scale)
    found = weight_scales(torch.from_numpy(weights), axis, torch.from_numpy(bias), torch.tensor(input_scale))
    np.testing.assert_array_equal(found.numpy(), expected)
