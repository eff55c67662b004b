"""Observers: how the range of an activation follows from what it did on the calibration samples.

One file each, found by its name: `choose(seen: Activation, …) -> Range`. The parameters of `choose` after
the first are those that the step `observe` passes on.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.errors import unknown_name
from harness.quantize.calibrate import Range

NAMES = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


@dataclass(frozen=True)
class Activation:
    """What one activation did on the calibration samples.

    samples: float (n, 2), lowest and highest value of each sample. bins: counts (b,) of its values in bins of
    equal width over the whole range, None where only `samples` was asked for.
    """

    samples: np.ndarray
    bins: np.ndarray | None = None

    @property
    def range(self) -> Range:
        return Range(float(self.samples[:, 0].min()), float(self.samples[:, 1].max()))

    @property
    def centres(self) -> np.ndarray:
        """Middle of each bin, float64 (b,)."""
        seen, count = self.range, len(self.bins)
        return seen.low + (np.arange(count) + 0.5) * (seen.high - seen.low) / count


Observer = Callable[[Activation], Range]


def function(name: str) -> Callable[..., Range]:
    """The `choose` of an observer; UsageError with the nearest names where there is none."""
    if name not in NAMES:
        raise unknown_name("observer", name, NAMES)
    return importlib.import_module(f"{__name__}.{name}").choose


def needs_bins(name: str) -> bool:
    """Whether it looks at more than each sample's extremes: a second run over the samples."""
    return getattr(importlib.import_module(f"{__name__}.{name}"), "NEEDS_BINS", False)
