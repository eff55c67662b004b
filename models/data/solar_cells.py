"""The ELPV data set: 2,624 electroluminescence images of solar cells, 300×300 grey.

From the PyPI package `elpv-dataset` (extra `solar`), CC BY-NC-SA 4.0. C. Buerhop-Lutz et al., "A Benchmark
for Visual Identification of Defective Solar Cells in Electroluminescence Imagery", EU PVSEC 2018; S. Deitsch
et al., "Automatic classification of defective photovoltaic module cells in electroluminescence images",
Solar Energy 185, 2019.

Each cell has a probability of being defective, 0, 1/3, 2/3 or 1, from an expert's verdict and their
confidence in it. Above 0.5 it counts as defective (class 1), else as functional (class 0): 821 and 1803
cells.

Split: 60 % train, 15 % validation, 25 % test within each of the eight groups (probability, mono- or
polycrystalline). The package does not say which of its 44 modules a cell comes from, so cells of one module
can be in different splits.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from harness.errors import FormatError, UsageError
from models.data import Sample

CLASSES = ("functional", "defective")
SHARES = {"train": 0.60, "validation": 0.15, "test": 0.25}


@dataclass(frozen=True)
class Cell(Sample):
    """A sample that keeps the annotation: probability of a defect, and the wafer's type, "mono" or "poly"."""

    probability: float
    wafer: str


def splits(seed: int = 0) -> dict[str, list[Cell]]:
    """Split name → its cells in file order; the same on every machine for one seed.

    Raises UsageError where the package is not installed, FormatError where its table is damaged.
    """
    groups: dict[tuple[float, str], list[Cell]] = defaultdict(list)
    for cell in read_cells(package_folder() / "data" / "labels.csv"):
        groups[cell.probability, cell.wafer].append(cell)
    parts: dict[str, list[Cell]] = {name: [] for name in SHARES}
    for cells in groups.values():
        cells.sort(key=lambda cell: hashlib.sha256(f"{seed}/{cell.id}".encode()).digest())
        start, share = 0, 0.0
        for name in SHARES:
            share += SHARES[name]
            end = round(share * len(cells))
            parts[name] += cells[start:end]
            start = end
    return {name: sorted(cells, key=lambda cell: cell.id) for name, cells in parts.items()}


def package_folder() -> Path:
    """Where the images are installed; the package itself is not imported."""
    found = importlib.util.find_spec("elpv_dataset")
    if found is None or found.origin is None:
        raise UsageError("data set 'solar_cells' is not installed: pip install 'quantbench[solar]'")
    return Path(found.origin).parent


def read_cells(table: Path) -> list[Cell]:
    """The cells of the package's table: lines of image path, probability, type, separated by blanks."""
    cells = []
    for number, line in enumerate(table.read_text().splitlines(), 1):
        try:
            file, probability, wafer = line.split()
            chance = float(probability)
        except ValueError as error:
            raise FormatError(f"{table}, line {number}: not 'image probability type': {line!r}") from error
        label = CLASSES.index("defective" if chance > 0.5 else "functional")
        cells.append(Cell(Path(file).name, table.parent / file, label, chance, wafer))
    return cells
