"""The ranges of activations, learned from where calibration left them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from harness.quantize.calibrate import QMAX, QMIN, Range
from harness.train.fake_quant import TINY


class Ranges(nn.Module):
    """One range for each group of activations that share a scale.

    Both ends are those of the beginning times factors whose logarithms are trained (S. Jain et al., "Trained
    Quantization Thresholds", arXiv:1903.08066, section 3.3), so that a step means the same for a narrow range
    and a wide one.
    """

    def __init__(self, initial: Mapping[str, Range]) -> None:
        super().__init__()
        self._index = {group: index for index, group in enumerate(initial)}
        ends = [(min(ends.low, 0.0), max(ends.high, 0.0)) for ends in initial.values()]
        self.register_buffer("ends", torch.tensor(ends, dtype=torch.float64).reshape(-1, 2))
        self.change = nn.Parameter(torch.zeros_like(self.ends))

    def _bounds(self, group: str) -> tuple[torch.Tensor, torch.Tensor]:
        index = self._index[group]
        return (self.ends[index] * torch.exp(self.change[index])).unbind()

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
