"""The results table: a row per device and model, columns grouped by figure, one per arithmetic.

    device  model      top-1                        ms
                         f32  hybrid  int8-ptq     f32  hybrid  int8-ptq
    --------------------------------------------------------------------
    pi4     mobilenet  0.709   0.700¹    0.657  (180)!   (145)      80.2

Formats: `table` for a terminal, `markdown`, `latex`, and two for programs: `csv`, a line per cell with every
column, and `json`, one document. Names and messages from outside are made harmless for each.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Sequence

from tabulate import tabulate

from harness.columns import COLUMNS
from harness.errors import unknown_name
from harness.report.pixel2 import pixel2_table
from harness.report.wide import Marks, WideTable, wide_table
from harness.results import Cell, RunRecord
from harness.text import clean

SCHEMA = 1
Layout = Callable[[Sequence[Cell], Marks], WideTable]
TERMINAL_WIDTH = 110


def render(
    cells: Sequence[Cell],
    run: RunRecord,
    output_format: str = "table",
    width: int = TERMINAL_WIDTH,
    layout: Layout = wide_table,
) -> str:
    """The cells of a run as text, without a trailing newline. width: of the terminal, for `table` only.

    layout: what is shown and where; the formats for programs show everything, but CSV the published table's
    columns in the published table's layout. Raises UsageError for an unknown format.
    """
    if (output_format, layout) == ("csv", pixel2_table):
        return _flat_csv(layout(cells, PLAIN))
    if output_format in FOR_PROGRAMS:
        return FOR_PROGRAMS[output_format](cells, run)
    if output_format not in FORMATS:
        raise unknown_name("table format", output_format, FORMATS)
    marks, write = FOR_READERS[output_format]
    return write(layout(cells, marks), width)


def _json(cells: Sequence[Cell], run: RunRecord) -> str:
    document = {"schema": SCHEMA, "bench_version": run.bench_version, "runtime_sha256": run.runtime_sha256}
    document |= {"started": run.started, "environment": run.environment}
    document["cells"] = [cell.as_json() for cell in cells]
    return json.dumps(document, indent=2, allow_nan=False)


def _csv(cells: Sequence[Cell], _run: RunRecord) -> str:
    return _csv_text(
        [[column.get(cell) for column in COLUMNS] for cell in cells], [column.key for column in COLUMNS]
    )


def _flat_csv(table: WideTable) -> str:
    return _csv_text(*_flat(table))


def _csv_text(rows: list[list[object]], headers: list[str]) -> str:
    import pandas as pd  # here, because importing it takes as long as showing a table

    frame = pd.DataFrame([list(map(_csv_value, row)) for row in rows], columns=headers, dtype=object)
    return frame.to_csv(index=False, lineterminator="\n").rstrip("\n")


def _csv_value(value: object) -> object:
    """Text is kept from being a formula when a spreadsheet opens the file."""
    if not isinstance(value, str):
        return value
    text = clean(value, 2000)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _table(table: WideTable, width: int) -> str:
    """Groups that do not fit beside each other in `width` go below each other, each with the row's names."""
    groups = list(table.titles)
    side_by_side = len(groups)
    while side_by_side > 1 and any(
        _line_width(_block(table, part)) > width for part in _parts(groups, side_by_side)
    ):
        side_by_side -= 1
    blocks = [_block(table, part) for part in _parts(groups, side_by_side)]
    notes = [textwrap.fill(note, width, subsequent_indent="  ") for note in table.notes]
    return "\n\n".join([*blocks, "\n".join(notes)])


def _parts(groups: Sequence[str], size: int) -> list[Sequence[str]]:
    return [groups[i : i + size] for i in range(0, len(groups), size)]


def _block(table: WideTable, groups: Sequence[str]) -> str:
    """Some groups of columns, with a line of titles, a line of what differs and a rule above the rows."""
    titles, labels, columns = [*table.names], ["" for _ in table.names], []
    for (group, i), label in table.labels.items():
        if group in groups:
            titles.append(table.titles[group] if i == 0 else "")
            labels.append(label)
            columns.append(table.values[group, i])
    rows = [[*names, *values] for names, *values in zip(table.rows, *columns, strict=True)]
    align = (*["left"] * len(table.names), *["right"] * len(columns))
    text = tabulate([titles, labels, *rows], tablefmt="plain", colalign=align, disable_numparse=True)
    lines = text.splitlines()
    return "\n".join([*lines[:2], "-" * _line_width(text), *lines[2:]])


def _line_width(text: str) -> int:
    return max(map(len, text.splitlines()))


def superscript(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _markdown(table: WideTable, _width: int) -> str:
    text = tabulate(*_flat(table), "pipe", colalign=_align(table), disable_numparse=True)
    return "\n".join([text, "", *(f"- {note}" for note in table.notes)])


def _latex(table: WideTable, _width: int) -> str:
    text = tabulate(*_flat(table), "latex_raw", colalign=_align(table), disable_numparse=True)
    return "\n".join([text, r"\par\footnotesize", " \\\\\n".join(table.notes)])


def _flat(table: WideTable) -> tuple[list[list[str]], list[str]]:
    """Rows and one-line headers, all groups beside each other."""
    headers = [f"{table.titles[group]} {label}" for (group, _), label in table.labels.items()]
    rows = zip(table.rows, *(table.values[at] for at in table.labels), strict=True)
    return [[*names, *values] for names, *values in rows], [*table.names, *headers]


def _align(table: WideTable) -> tuple[str, ...]:
    return (*["left"] * len(table.names), *["right"] * len(table.labels))


def _markdown_escape(text: str) -> str:
    return "".join(f"&#{ord(c)};" if c in "\\`*[]<>|&~$@!" else c for c in text)


_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def _latex_escape(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in text)


PLAIN = Marks(note=lambda number: "", missing="", separator="")
TERMINAL = Marks(superscript)
FOR_PROGRAMS = {"csv": _csv, "json": _json}
FOR_READERS = {
    "table": (TERMINAL, _table),
    "markdown": (Marks(superscript, _markdown_escape), _markdown),
    "latex": (
        Marks(r"\textsuperscript{{{}}}".format, _latex_escape, r"\dag{}", "---", r"\,"),
        _latex,
    ),
}
FORMATS = (*FOR_READERS, *FOR_PROGRAMS)
