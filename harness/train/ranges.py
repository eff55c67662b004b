"""The ranges of activations: followed by a moving average, and from some time on learned."""

from __future__ import annotations

import torch
from torch import nn

from harness.quantize.calibrate import QMAX, QMIN, Range
from harness.train.fake_quant import TINY

MOMENTUM = 0.1  # of a batch in the moving average


class Ranges(nn.Module):
    """One range for each group of activations that share a scale.

    Followed: the moving average of every batch's minimum and maximum (Jacob et al., "Quantization and
    Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018, §3.1). Learned: both
    ends times factors whose logarithms are trained (S. Jain et al., "Trained Quantization Thresholds",
    arXiv:1903.08066, §3.3), so that a step means the same for a narrow range and a wide one.
    """

    def __init__(self, groups: list[str]) -> None:
        super().__init__()
        self._index = {group: index for index, group in enumerate(groups)}
        self.followed = True
        self.register_buffer("ends", torch.zeros(len(groups), 2, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(len(groups), dtype=torch.bool))
        self.change = nn.Parameter(torch.zeros(len(groups), 2, dtype=torch.float64))

    @torch.no_grad()
    def observe(self, group: str, x: torch.Tensor) -> None:
        """Takes the minimum and maximum of x, widened to hold zero, into the average; not while learning."""
        if not self.followed:
            return
        index = self._index[group]
        low, high = torch.aminmax(x)
        ends = torch.stack([low.clamp(max=0), high.clamp(min=0)]).double()
        self.ends[index].lerp_(ends, MOMENTUM if self.seen[index] else 1.0)
        self.seen[index] = True

    def _bounds(self, group: str) -> tuple[torch.Tensor, torch.Tensor]:
        index = self._index[group]
        ends = self.ends[index].clone()  # which `observe` changes before the gradient is taken
        return (ends if self.followed else ends * torch.exp(self.change[index])).unbind()

    def quantization(self, group: str) -> tuple[torch.Tensor, torch.Tensor]:
        """float32 scale and zero point, as `activation_quantization` gives them for the range."""
        low, high = self._bounds(group)
        scale = ((high - low) / (QMAX - QMIN)).float()
        if scale.item() < TINY:
            return torch.ones(()), torch.zeros(())
        zero_point = QMIN - low / scale.double()
        rounded = zero_point + (torch.round(zero_point) - zero_point).detach()
        return scale, rounded.clamp(QMIN, QMAX).float()

    def range(self, group: str) -> Range:
        low, high = self._bounds(group)
        return Range(low.item(), high.item())
