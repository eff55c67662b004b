"""From cells to the wide table: rows (device, model), columns (figure, arithmetic), marks, footnotes.

What may not be taken at its face value is marked wherever it is shown:

    12.3!¹    invalid, the footnote says why         failed¹   no number, the footnote says why
    (12.3)    milliseconds of an emulator            12.3²     valid with a warning
    —         not measured
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.columns import TABLE, Column
from harness.results import FAILED, INVALID, Cell
from harness.text import clean

NAME_LENGTH = 48


@dataclass(frozen=True)
class Marks:
    """How a format writes a footnote's number, signs that are not ASCII, and text that comes from outside."""

    note: Callable[[int], str]
    escape: Callable[[str], str] = str
    emulated: str = "†"
    missing: str = "—"
    separator: str = "˒"


@dataclass
class WideTable:
    """A group of columns for each figure. names: what rows are called by; rows: their names as shown.

    titles: a group's key → its title. labels[group, i]: what its i-th column is of, in table order;
    values[group, i]: the column's texts, one a row. cells[row][i]: the cell behind these, None where there is
    none. notes: the legend, then the footnotes.
    """

    names: tuple[str, ...]
    rows: list[tuple[str, ...]]
    titles: dict[str, str]
    labels: dict[tuple[str, int], str]
    values: dict[tuple[str, int], list[str]]
    cells: list[list[Cell | None]]
    notes: list[str]


def wide_table(cells: Sequence[Cell], marks: Marks, columns: Sequence[Column] = TABLE) -> WideTable:
    """Rows and arithmetics in the order of their first cell; figures that no cell has are left out."""
    rows = list(dict.fromkeys((cell.device, cell.model) for cell in cells))
    variants = list(dict.fromkeys((cell.variant, cell.arithmetic) for cell in cells))
    columns = [c for c in columns if c.about is not None or any(c.get(cell) is not None for cell in cells)]
    at = {(cell.device, cell.model, cell.variant, cell.arithmetic): cell for cell in cells}
    values = {(column.key, i): [] for column in columns for i in range(len(variants))}
    notes = Notes(marks)
    for row in rows:  # row by row, so that footnotes are numbered as they are read
        for column in columns:
            for i, variant in enumerate(variants):
                values[column.key, i].append(shown_value(column, at.get(row + variant), notes))
    emulated = {cell.device for cell in cells if cell.emulated}
    shown = [
        (shown_name(device, marks) + (marks.emulated if device in emulated else ""), shown_name(model, marks))
        for device, model in rows
    ]
    arithmetics = [shown_name(arithmetic, marks) for _, arithmetic in variants]
    return WideTable(
        ("device", "model"),
        shown,
        {column.key: column.header for column in columns},
        {(column.key, i): label for column in columns for i, label in enumerate(arithmetics)},
        values,
        [[at.get(row + variant) for variant in variants] for row in rows],
        [*legend(cells, columns, marks), *notes.lines()],
    )


def shown_name(text: str, marks: Marks) -> str:
    """A name from outside, as the format shows it."""
    return marks.escape(clean(text, NAME_LENGTH))


def shown_value(column: Column, cell: Cell | None, notes: Notes) -> str:
    """A figure of a cell with its marks, whose footnotes are added to `notes`."""
    if cell is None:
        return notes.marks.missing
    if column.measured and cell.verdict == FAILED:
        return "failed" + notes.mark([f"failed: {reason}" for reason in cell.reasons])
    if (value := column.get(cell)) is None:
        return notes.marks.missing
    text, remarks = column.show(value), []
    if column.clocked and cell.emulated:
        text = f"({text})"
    if column.measured and cell.verdict == INVALID:
        text += "!"
        remarks += [f"invalid: {reason}" for reason in cell.reasons]
    return text + notes.mark(remarks + [w for w in cell.warnings if _belongs(w, column)])


def _belongs(warning: str, column: Column) -> bool:
    """A warning goes to the column that it begins with the name of, else to the time of an inference."""
    return column is next(c for c in TABLE if c.about is not None and warning.startswith(c.about))


def legend(cells: Sequence[Cell], columns: Sequence[Column], marks: Marks) -> list[str]:
    """What the columns and the marks mean."""
    lines = ["; ".join(f"{c.header}: {c.meaning}" for c in columns) + "."]
    for name, metric in (("top-1", "top1"), ("AUC", "auc")):
        if certainty := _certainty(cells, metric):
            lines.append(f"{name} {certainty} (95 % interval).")
    if any(cell.emulated for cell in cells):
        lines.append(
            f"{marks.emulated} emulated: milliseconds in parentheses are the emulator's and compare with "
            "nothing; instructions and accuracy are exact."
        )
    if any(cell.verdict == INVALID for cell in cells):
        lines.append("! invalid: measured, but not to be trusted.")
    return lines


def _certainty(cells: Sequence[Cell], metric: str) -> str:
    """`of 400 samples: ±0.049`: half of the widest interval of each number of samples."""
    widest: dict[int, float] = {}
    for cell in cells:
        if (interval := getattr(cell, f"{metric}_ci95")) is not None:
            low, high = interval
            widest[cell.samples] = max(widest.get(cell.samples, 0), (high - low) / 2)
    return ", ".join(f"of {count} samples: ±{half:.3f}" for count, half in sorted(widest.items()))


@dataclass
class Notes:
    """Numbered footnotes. Remarks that ask for the same fix share one, which quotes the first."""

    marks: Marks
    by_fix: dict[str, list[str]] = field(default_factory=dict)

    def mark(self, remarks: Sequence[str]) -> str:
        """The footnote numbers of these remarks in ascending order, as the format writes them."""
        numbers = set()
        for remark in remarks:
            fix = remark.rpartition("; ")[2]
            alike = self.by_fix.setdefault(fix, [])
            if remark not in alike:
                alike.append(remark)
            numbers.add(list(self.by_fix).index(fix) + 1)
        return self.marks.separator.join(map(self.marks.note, sorted(numbers)))

    def lines(self) -> list[str]:
        """The footnotes in the order of their numbers."""
        lines = []
        for number, (first, *others) in enumerate(self.by_fix.values(), 1):
            alike = f" (and {len(others)} more of this kind)" if others else ""
            lines.append(f"{self.marks.note(number)} {self.marks.escape(clean(first))}{alike}")
        return lines
