"""Our cells in the nine columns of the table published for a Pixel 2, and what was published below ours.

Model                       Top-1                    ms                    MB
                         original    PTQ    QAT    original  PTQ   QAT    original  optimized
mobilenet_v1                0.709  0.704  0.701        58.1  39.0  40.2       16.9       4.30
mobilenet_v1, published     0.709  0.657  0.700         180   145  80.2       16.9       4.30
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import models
from harness.columns import TABLE
from harness.report.wide import Marks, Notes, WideTable, legend, shown_name, shown_value
from harness.results import Cell
from models import PIXEL2_SOURCE, Pixel2

TRAINED = "int8-qat"
POST_TRAINING = ("int8-ptq", "hybrid")  # the first of them that was measured
TITLES = {"top1": "Top-1", "latency_median_ms": "ms", "size_bytes": "MB"}
TOP1, MS, MB = (column for column in TABLE if column.key in TITLES)
ALL_THREE, SIZES = ("original", "PTQ", "QAT"), ("original", "optimized")
LABELS = {
    (column.key, i): label
    for column, labels in ((TOP1, ALL_THREE), (MS, ALL_THREE), (MB, SIZES))
    for i, label in enumerate(labels)
}
NOT_AVAILABLE = "N/A"


@dataclass(frozen=True)
class _Row:
    """texts: of LABELS, in their order. cells: original, PTQ and QAT where they were measured."""

    model: str
    device: str
    texts: list[str]
    cells: list[Cell | None]


def pixel2_table(cells: Sequence[Cell], marks: Marks) -> WideTable:
    """A row for each model and device; the device stands in the notes where there is one only."""
    measured = {cell.arithmetic for cell in cells}
    post_training = next((name for name in POST_TRAINING if name in measured), POST_TRAINING[0])
    notes = Notes(marks)
    rows = list(_rows(cells, ("f32", post_training, TRAINED), notes))
    several = len({cell.device for cell in cells}) > 1
    return WideTable(
        ("Model", "device") if several else ("Model",),
        [(row.model, row.device) if several else (row.model,) for row in rows],
        TITLES,
        LABELS,
        {at: [row.texts[i] for row in rows] for i, at in enumerate(LABELS)},
        [row.cells for row in rows],
        [*_legend(cells, post_training, marks), *notes.lines()],
    )


def _rows(cells: Sequence[Cell], arithmetics: Sequence[str], notes: Notes) -> Iterator[_Row]:
    """Model by model, what was published of one below it."""
    at = {(cell.model, _device(cell, notes.marks), cell.arithmetic): cell for cell in cells}
    for model in dict.fromkeys(cell.model for cell in cells):
        name = shown_name(model, notes.marks)
        for device in dict.fromkeys(_device(cell, notes.marks) for cell in cells if cell.model == model):
            forms = [at.get((model, device, arithmetic)) for arithmetic in arithmetics]
            yield _Row(name, device, _measured(forms, notes), forms)
        if published := _published(model):
            yield _Row(f"{name}, published", "Pixel 2", _known(published), [None] * len(arithmetics))


def _device(cell: Cell, marks: Marks) -> str:
    return shown_name(cell.device, marks) + (marks.emulated if cell.emulated else "")


def _measured(forms: Sequence[Cell | None], notes: Notes) -> list[str]:
    original, post_training, trained = forms
    figures = [
        [shown_value(column, original, notes), shown_value(column, post_training, notes)]
        + [shown_value(column, trained, notes) if trained else NOT_AVAILABLE]
        for column in (TOP1, MS)
    ]
    sizes = [shown_value(MB, cell, notes) for cell in (original, post_training or trained)]
    return [*figures[0], *figures[1], *sizes]


def _known(published: Pixel2) -> list[str]:
    figures = [
        NOT_AVAILABLE if value is None else column.show(value)
        for column, values in ((TOP1, published.top1), (MS, published.ms))
        for value in values
    ]
    return [*figures, *(MB.show(value * 1e6) for value in published.mb)]


def _published(model: str) -> Pixel2 | None:
    return models.load(model).pixel2 if model in models.names() else None


def _legend(cells: Sequence[Cell], post_training: str, marks: Marks) -> list[str]:
    """Which arithmetic each column ran, on which devices, and whose figures the others are."""
    devices = {f"{_device(c, marks)} ({shown_name(c.cpu, marks)}, {c.arch})": None for c in cells}
    lines = [
        f"Measured on {', '.join(devices)}. original: f32; PTQ: {post_training}; QAT: {TRAINED}; "
        f"optimized: the {post_training} file, or QAT's.",
        *legend(cells, (TOP1, MS, MB), marks),
    ]
    if any(_published(cell.model) for cell in cells):
        source = marks.escape(PIXEL2_SOURCE)
        lines.append(
            f"published: by others, one big core of a Pixel 2 ({source}), its PTQ hybrid in some ops, float "
            "in others; not measured here and not to be ranked with ours."
        )
    return lines
