"""Data sets that come with a package: one file per data set, found by its name.

A module here offers `splits()`: the split's name ("train", "validation", "test") → list of `Sample`.
Evaluation uses "test", calibration "train".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """One labelled file. id: stable name of the sample in results. label: 0-based class of the data set."""

    id: str
    path: Path
    label: int
