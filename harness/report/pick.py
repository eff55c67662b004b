"""A recommendation as text for a terminal, or as a document for a program.

        variant  arithmetic  top-1  lower by        p      ms              × f32     MB  MB zip  misses
    --  -------  ----------  -----  --------  -------  ------  -----------------  -----  ------  --------
        f32      f32         0.876                      0.208                     0.856   0.778
    *>  int8     int8-ptq    0.876      0.00        1  0.195¹  0.94 [0.90, 0.98]  0.243   0.209
        hybrid   hybrid      0.840      3.60  2.4e-05   0.280  1.35 [1.34, 1.36]  0.243   0.209  max-drop

`>` marks what is recommended, `*` the Pareto front. Figures have the results table's marks and footnotes
(harness/report/wide.py).
"""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from tabulate import tabulate

from harness.advise import Candidate, Judged, Recommendation
from harness.advise.evidence import FLOAT
from harness.columns import COLUMNS, Column
from harness.report.table import TERMINAL, TERMINAL_WIDTH
from harness.report.wide import Notes, shown_value
from harness.text import clean

SCHEMA = 1


def as_text(found: Recommendation) -> str:
    """Table, footnotes, verdict and reasons, without a trailing newline."""
    cell, notes, columns = found.judged[0].candidate.cell, Notes(TERMINAL), _columns(found)
    where = f"{clean(cell.model)} on {clean(cell.device)} ({clean(cell.cpu)})"
    rows = [_row(judged, found, columns, notes) for judged in found.judged]
    top1, cost, *others = (column.header or "mJ" for column in columns)
    headers = ["", "variant", "arithmetic", top1, "lower by", "p", cost, f"× {FLOAT}", *others, "misses"]
    align = ("left", "left", "left", *("right",) * (len(headers) - 4), "left")
    table = tabulate(rows, headers, "simple", colalign=align, disable_numparse=True)
    reasons = _filled([_verdict(found), *(f"- {reason.text}" for reason in found.reasons)])
    parts = [where, table, _filled(notes.lines()), reasons, _filled(_sources(found))]
    return "\n\n".join(filter(None, parts))


def _filled(lines: Iterable[str]) -> str:
    return "\n".join(textwrap.fill(line, TERMINAL_WIDTH, subsequent_indent="  ") for line in lines)


def _columns(found: Recommendation) -> list[Column]:
    """Accuracy, cost, sizes, and energy where any variant has it."""
    cells = [judged.candidate.cell for judged in found.judged]
    cost = "instructions" if cells[0].emulated else "latency_median_ms"
    keys = ["top1", cost, "size_bytes", "size_compressed_bytes"]
    keys += ["energy_mj"] if any(cell.energy_mj is not None for cell in cells) else []
    return [next(column for column in COLUMNS if column.key == key) for key in keys]


def _row(judged: Judged, found: Recommendation, columns: Sequence[Column], notes: Notes) -> list[str]:
    candidate = judged.candidate
    cell, accuracy = candidate.cell, candidate.accuracy
    compared = accuracy is not None and cell.arithmetic != FLOAT
    top1, cost, *others = (shown_value(column, cell, notes) for column in columns)
    return [
        ("*" if judged.pareto else "") + (">" if candidate is found.chosen else ""),
        candidate.name,
        cell.arithmetic,
        top1,
        f"{accuracy.drop:.2f}" if compared else "",
        f"{accuracy.p:.2g}" if compared else "",
        cost,
        _ratio(candidate),
        *others,
        ", ".join(check.constraint.replace("_", "-") for check in judged.checks if not check.met),
    ]


def _ratio(candidate: Candidate) -> str:
    cost = candidate.cost
    if cost is None or cost.ratio is None or candidate.cell.arithmetic == FLOAT:
        return ""
    interval = f" [{cost.interval[0]:.2f}, {cost.interval[1]:.2f}]" if cost.interval else ""
    return f"{cost.ratio:.2f}{interval}"


def _verdict(found: Recommendation) -> str:
    if found.chosen is not None:
        return f"Ship {found.chosen.name}. Asked for: {_asked(found)}."
    nearest = f" Nearest: {found.nearest.name}." if found.nearest else ""
    return f"No variant meets what was asked for: {_asked(found)}.{nearest}"


def _asked(found: Recommendation) -> str:
    """The constraints, as they were given."""
    wanted = found.constraints
    parts = [
        "any accuracy"
        if wanted.max_drop is None
        else f"a drop of top-1 of at most {wanted.max_drop:g} points",
        *([f"at most {wanted.budget_ms:g} ms"] if wanted.budget_ms is not None else []),
        *([f"at most {wanted.max_mb:g} MB"] if wanted.max_mb is not None else []),
        *(["fixed-point hardware"] if wanted.fixed_point else []),
    ]
    return ", ".join(parts)


def _sources(found: Recommendation) -> Iterator[str]:
    """Where the numbers come from."""
    by_run: dict[tuple[int, str, bool], list[str]] = {}
    for judged in found.judged:
        trial = judged.candidate.trial
        by_run.setdefault((trial.run_id, trial.started, trial.reused), []).append(judged.candidate.name)
    for (run_id, started, reused), names in by_run.items():
        how = "reused, measured in" if reused else "measured now,"
        yield f"{', '.join(names)}: {how} run {run_id} of {started}"


def as_json(found: Recommendation) -> str:
    """The document that docs/picking.md describes."""
    cell = found.judged[0].candidate.cell
    document = {
        "schema": SCHEMA,
        **{name: getattr(cell, name) for name in ("device", "arch", "cpu", "emulated", "model")},
        "constraints": dataclasses.asdict(found.constraints),
        "chosen": found.chosen and found.chosen.name,
        "nearest": found.nearest and found.nearest.name,
        "reasons": [dataclasses.asdict(reason) for reason in found.reasons],
        "candidates": [_candidate(judged) for judged in found.judged],
    }
    return json.dumps(document, indent=2, allow_nan=False)


def _candidate(judged: Judged) -> dict:
    trial, accuracy, cost = judged.candidate.trial, judged.candidate.accuracy, judged.candidate.cost
    return {
        "variant": judged.candidate.name,
        "pareto": judged.pareto,
        "meets": judged.candidate.valid and all(check.met for check in judged.checks),
        "constraints": [
            dataclasses.asdict(check) | {"met": check.met, "excess": check.excess} for check in judged.checks
        ],
        "accuracy": accuracy and dataclasses.asdict(accuracy),
        "cost": cost and dataclasses.asdict(cost),
        "trial": {name: getattr(trial, name) for name in ("run_id", "cell_id", "started", "reused")},
        "cell": trial.cell.as_json(),
    }
