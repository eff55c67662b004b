"""The samples of a data set for training: decoded once, drawn in random order, altered at random."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from harness import datasets
from harness.datasets import Dataset, Progress
from harness.errors import UsageError
from harness.samples import Storage
from models.data import Sample

PIXELS = np.dtype(np.uint8)
SMALLEST_CROP = 0.8  # of the height and width
BRIGHTNESS = 0.1  # of the pixels' 255


@dataclass(frozen=True)
class Samples:
    """stored: (samples, …) as the files have them, mapped from a file. labels: int64 (samples,)."""

    stored: np.ndarray
    labels: torch.Tensor
    storage: Storage

    def __len__(self) -> int:
        return len(self.stored)

    def reals(self, indices: torch.Tensor) -> torch.Tensor:
        """float32 (indices, …): what the runner computes from the data set's file."""
        return torch.from_numpy(self.storage.reals(self.stored[indices.numpy()]))

    def batches(self, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Real values and labels, in order."""
        for indices in torch.arange(len(self)).split(size):
            yield self.reals(indices), self.labels[indices]

    def drawn(
        self, size: int, alterations: tuple[str, ...], random: torch.Generator
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The same in random order and altered; what does not fill a batch waits for another order."""
        size = min(size, len(self))
        order = torch.randperm(len(self), generator=random)
        for indices in order[: len(order) // size * size].split(size):
            yield self._altered(indices, alterations, random), self.labels[indices]

    def _altered(self, indices, alterations: tuple[str, ...], random: torch.Generator) -> torch.Tensor:
        if not alterations or not self.are_images:
            return self.reals(indices)
        pixels = torch.from_numpy(self.stored[indices.numpy()]).float()
        for name in alterations:
            pixels = ALTERATIONS[name](pixels, random)
        offset, scale = (torch.from_numpy(v) for v in (self.storage.offset, self.storage.scale))
        return (pixels.clamp(0, 255) - offset) * scale

    @property
    def are_images(self) -> bool:
        return self.storage.dtype == PIXELS and self.stored.ndim == 4


def split(dataset: Dataset, share: float) -> tuple[Dataset, Dataset]:
    """A data set's pool in two stratified parts: training, and validation of this share.

    Raises UsageError where a part would be empty.
    """
    pool = dataset.pool
    count = round(share * len(pool))
    if not 0 < count < len(pool):
        raise UsageError(
            f"data set '{dataset.name}' has {len(pool)} samples to train on: too few to keep {share:.0%} of "
            "them for validation"
        )
    kept = datasets.stratified(pool, count, "validation")
    chosen = {sample.path for sample in kept}
    rest: tuple[Sample, ...] = tuple(sample for sample in pool if sample.path not in chosen)
    return replace(dataset, samples=rest), replace(dataset, samples=kept)


def read(dataset: Dataset, path: Path, progress: Progress) -> Samples:
    """Decodes every sample into a file at `path`. Raises FormatError or UsageError naming a damaged one."""
    shape = (len(dataset), *dataset.input_shape[1:])
    stored = np.lib.format.open_memmap(path, "w+", dataset.storage.dtype, shape)
    for index in range(len(dataset)):
        stored[index] = dataset.stored(index)
        progress(index + 1, len(dataset))
    return Samples(stored, torch.from_numpy(dataset.labels), dataset.storage)


# --- alterations of pixels, float32 (batch, height, width, channels), 0 … 255 ---


def _draw(pixels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """A number in [0, 1) for each image."""
    return torch.rand(len(pixels), 1, 1, 1, generator=random)


def _flip(pixels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Left and right exchanged in half of the images."""
    return torch.where(_draw(pixels, random) < 0.5, pixels.flip(2), pixels)


def _crop(pixels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """A random box of at least SMALLEST_CROP in each direction, bilinearly resized to the whole."""
    side = 1 - (1 - SMALLEST_CROP) * torch.rand(len(pixels), 2, 1, generator=random)
    centre = (1 - side) * (2 * torch.rand(len(pixels), 2, 1, generator=random) - 1)
    diagonal = torch.eye(2) * side
    grid = F.affine_grid(
        torch.cat([diagonal, centre], 2), (len(pixels), 1, *pixels.shape[1:3]), align_corners=False
    )
    images = pixels.permute(0, 3, 1, 2)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False).permute(0, 2, 3, 1)


def _brightness(pixels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Lighter or darker by up to BRIGHTNESS."""
    return pixels + 255 * BRIGHTNESS * (2 * _draw(pixels, random) - 1)


ALTERATIONS: dict[str, Callable[[torch.Tensor, torch.Generator], torch.Tensor]] = {
    "flip": _flip,
    "crop": _crop,
    "brightness": _brightness,
}
