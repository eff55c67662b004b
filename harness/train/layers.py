"""Convolutions and fully connected layers, with the batch norm behind them while it is trained."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from harness.graph import Node
from harness.ops.windows import node_padding, window_attrs
from harness.quantize.weights import CHANNEL_AXIS
from harness.train.fake_quant import fake_quantize_weights, nearest, round_once, weight_scales
from harness.train.norms import BatchNorm

MOMENTUM = 0.1  # of a batch in the statistics that batch norm keeps
ACTIVATIONS = {
    None: lambda y: y,
    "relu": F.relu,
    "relu6": F.relu6,
    "relu_n1_to_1": lambda y: y.clamp(-1, 1),
}
ROUNDED_TWICE = ("Conv2D", "DepthwiseConv2D")


class Weighted(nn.Module):
    """y = activation(x ∗ w + b), x (batch, …, channels), with w and b in the IR's layouts.

    What is trained are the weights of each channel relative to their root mean square at the beginning, and
    its bias relative to that times the layer's mean of |bias| / root mean square: folding batch norms leaves
    channels of very different size, some of them dead, and one learning rate has to suit all. Zeros among the
    weights stay zero, so a pruned network stays pruned.
    """

    def __init__(self, node: Node, weights: np.ndarray, bias: np.ndarray | None, norm: BatchNorm | None):
        super().__init__()
        self.node = node
        self.axis = CHANNEL_AXIS[node.op]
        if norm is not None:
            weights, bias = norm.weights, norm.bias
        others = tuple(i for i in range(weights.ndim) if i != self.axis)
        size = _not_zero(np.sqrt(np.mean(np.square(weights, dtype=np.float64), others, keepdims=True)))
        self.weights, self.size = _relative(weights, size)
        self.bias = self.bias_size = None
        if bias is not None:
            size = size.reshape(-1)
            share = np.abs(bias) @ size / (size @ size)  # by size²: dead channels do not count
            self.bias, self.bias_size = _relative(bias, size * _not_zero(share))
        self.norm = None if norm is None else _Norm(norm)
        mask = torch.from_numpy(weights != 0)
        self.register_buffer("mask", None if mask.all() else mask, persistent=False)

    def forward(
        self,
        x: torch.Tensor,
        input_scale: torch.Tensor | None,
        per_channel: bool,
        output_scale: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """input_scale: of the quantized x, shape (); None: nothing is quantized. output_scale: where the sums
        are to be rounded once more, as the runtime does before it rounds them to that scale."""
        weights, bias = self.folded()
        if input_scale is not None:
            axis = self.axis if per_channel else None
            scales = weight_scales(weights, axis, bias, input_scale)
            weights = fake_quantize_weights(weights, scales, axis, x.dtype)
            bias = _quantized_bias(bias, input_scale, scales, x.dtype)
        if self.norm is not None and self.training and not self.norm.frozen:
            y = self.norm.by_batch(self._linear(x, weights, None))
        else:
            y = self._linear(x, weights, bias)
        if output_scale is not None and self.node.op in ROUNDED_TWICE:
            factors = scales.double() * input_scale.double() / output_scale.double()
            y = round_once(y, output_scale, factors)
        return ACTIVATIONS[self.node.attrs.get("activation")](y)

    def folded(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Weights and bias as they are deployed: the batch norm's fixed statistics in them."""
        weights = self.weights * (self.size if self.mask is None else self.size * self.mask)
        bias = None if self.bias is None else self.bias * self.bias_size
        if self.norm is None:
            return weights, bias
        factor = self.norm.factor()
        along = factor.reshape([-1 if i == self.axis else 1 for i in range(weights.ndim)])
        return weights * along, self.norm.shift(factor, bias)

    def _linear(self, x: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        node = self.node
        if node.op == "FullyConnected":
            x = x if node.attrs.get("keep_dims") else x.reshape(x.shape[0], weights.shape[1])
            return F.linear(x, weights, bias)
        depthwise = node.op == "DepthwiseConv2D"
        kernel = weights.permute(3, 0, 1, 2) if depthwise else weights.permute(0, 3, 1, 2)
        groups = x.shape[3] // kernel.shape[1]
        ((top, bottom), (left, right)), _ = node_padding(node, x.shape[1:3], kernel.shape[2:])
        stride, dilation, _ = window_attrs(node)
        padding = (top, left)
        if (top, left) != (bottom, right):
            x, padding = F.pad(x, (0, 0, left, right, top, bottom)), 0
        y = F.conv2d(x.permute(0, 3, 1, 2), kernel, bias, stride, padding, dilation, groups)
        return y.permute(0, 2, 3, 1)


def _not_zero(size: np.ndarray) -> np.ndarray:
    return np.where(size > 0, size, 1.0)


def _relative(values: np.ndarray, size: np.ndarray) -> tuple[nn.Parameter, torch.Tensor]:
    """Values divided by their size, and that."""
    return nn.Parameter(torch.from_numpy((values / size).astype(np.float32))), torch.from_numpy(size).float()


def _quantized_bias(
    bias: torch.Tensor | None, input_scale: torch.Tensor, scales: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor | None:
    """Whole multiples of s_in · s_w."""
    if bias is None:
        return None
    codes = nearest((bias.detach() / (input_scale.detach() * scales)).double())
    rounded = codes * input_scale.detach().double() * scales.double()
    return bias + (rounded.to(dtype) - bias).detach()


class _Norm(nn.Module):
    """The parameters and statistics of a batch norm whose factor is folded into the weights before it.

    While it lives it normalizes by the batch: the weights that are quantized carry the kept statistics, so
    their rounding does not jump from batch to batch, and the output is corrected to the batch's
    (R. Krishnamoorthi, "Quantizing deep convolutional networks", arXiv:1806.08342, §3.2.2).
    """

    def __init__(self, norm: BatchNorm) -> None:
        super().__init__()
        self.frozen = False
        self.epsilon = norm.epsilon
        self.gamma = nn.Parameter(torch.from_numpy(norm.gamma.astype(np.float32)))
        self.beta = nn.Parameter(torch.from_numpy(norm.beta.astype(np.float32)))
        self.register_buffer("mean", torch.from_numpy(norm.mean.astype(np.float32)))
        self.register_buffer("variance", torch.from_numpy(norm.variance.astype(np.float32)))

    def factor(self) -> torch.Tensor:
        """γ / √(σ² + ε)."""
        return self.gamma / torch.sqrt(self.variance + self.epsilon)

    def shift(self, factor: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        return self.beta + ((0 if bias is None else bias) - self.mean) * factor

    def by_batch(self, y: torch.Tensor) -> torch.Tensor:
        """y = x ∗ (w · factor), normalized by its own mean and variance, which the kept ones take in."""
        variance, mean = torch.var_mean(y.reshape(-1, y.shape[-1]), 0, correction=0)
        factor = self.factor()
        alive = factor.abs() > 1e-6 * factor.abs().max()
        unfolded = torch.where(alive, factor, torch.ones_like(factor))
        raw_variance = torch.where(alive, variance / unfolded**2, self.variance)
        with torch.no_grad():
            self.mean.lerp_(torch.where(alive, mean / unfolded, self.mean), MOMENTUM)
            self.variance.lerp_(raw_variance, MOMENTUM)
        kept = torch.sqrt(self.variance + self.epsilon).detach()
        return (y - mean) * (kept / torch.sqrt(raw_variance + self.epsilon)) + self.beta
