"""Simulated quantization: values rounded to the grid of an int8 tensor, and what gradients make of it.

    y = (clip(round(x / s) + z, −128, 127) − z) · s

Rounding counts as the identity for gradients (the straight-through estimator: Bengio, Léonard and Courville,
arXiv:1308.3432). What is clipped has no gradient of x, but one of the range, and the rounding error has one
of s: Esser et al., "Learned Step Size Quantization", arXiv:1902.08153, with the zero point of Bhalgat et al.,
"LSQ+", arXiv:2004.09576.
"""

from __future__ import annotations

import torch

from harness.quantize.calibrate import QMAX, QMIN
from harness.quantize.weights import BIAS_LIMIT, LIMIT

TINY = torch.finfo(torch.float32).tiny


def nearest(x: torch.Tensor) -> torch.Tensor:
    """Whole numbers, ties away from zero."""
    return torch.trunc(x + torch.copysign(torch.full_like(x, 0.5), x))


class _FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point):
        step, zero = scale.item(), zero_point.item()
        y = (x * (1 / step)).round_().clamp_(QMIN - zero, QMAX - zero).mul_(step)
        ctx.ends = [(limit - zero) * step for limit in (QMIN - 0.5, QMAX + 0.5)]
        ctx.save_for_backward(x, y, scale)
        return y

    @staticmethod
    def backward(ctx, gradient):
        x, y, scale = ctx.saved_tensors
        of_x = torch.ops.aten.hardtanh_backward(gradient, x, *ctx.ends)  # 0 where x is clipped
        of_scale = of_zero_point = None
        if ctx.needs_input_grad[1]:
            of_scale = (_dot(gradient, y) - _dot(of_x, x)) / scale
            of_zero_point = (of_x.sum() - gradient.sum()) * scale
        return of_x, of_scale, of_zero_point


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.dot(a.reshape(-1), b.reshape(-1))


def fake_quantize(x: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor) -> torch.Tensor:
    """float32 x on the grid of scale and zero_point, both of shape (); ties to even, which is faster."""
    return _FakeQuantize.apply(x, scale, zero_point)


def on_grid(x: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor) -> torch.Tensor:
    """The same with TFLite's rounding, in the dtype of x, without gradients."""
    scale, zero_point = scale.to(x.dtype), zero_point.to(x.dtype)
    codes = (nearest(x / scale) + zero_point).clamp(QMIN, QMAX)
    return (codes - zero_point) * scale


def round_once(x: torch.Tensor, scale: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """The first of the two roundings of a TFLite convolution (MultiplyByQuantizedMultiplier), in float64.

    factors: s_in · s_w / s_out, () or (channels,). A factor is m · 2^−n with m in [1/2, 1): the product
    with m is rounded to a whole number before n bits are shifted out with the second rounding. No gradient.
    """
    fraction = torch.exp2(torch.frexp(factors).exponent.neg().clamp(min=0).double())
    return nearest(x / scale.double() * fraction) / fraction * scale.double()


def weight_scales(
    weights: torch.Tensor,
    axis: int | None,
    bias: torch.Tensor | None = None,
    input_scale: torch.Tensor | None = None,
) -> torch.Tensor:
    """float32 scales along `axis`, or one, as `channel_scales` and `safe_scales` give them."""
    others = tuple(i for i in range(weights.ndim) if i != axis)
    scales = (weights.detach().abs().amax(others) / LIMIT).clamp(min=TINY)
    if bias is not None and input_scale is not None:
        smallest = bias.detach().abs() / (input_scale.detach() * BIAS_LIMIT)
        scales = torch.maximum(scales, smallest if axis is not None else smallest.max())
    return scales


def fake_quantize_weights(
    weights: torch.Tensor, scales: torch.Tensor, axis: int | None, dtype: torch.dtype
) -> torch.Tensor:
    """Whole multiples of the scales, −127 to 127, in `dtype`; gradients pass straight through."""
    along = scales if axis is None else scales.reshape([-1 if i == axis else 1 for i in range(weights.ndim)])
    codes = nearest(weights.detach() / along).clamp(-LIMIT, LIMIT)
    return weights + (codes.to(dtype) * along.to(dtype) - weights).detach()
