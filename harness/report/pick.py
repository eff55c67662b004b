"""A recommendation as text for a terminal, or as a document for a program.

      variant  arithmetic  top-1  points   p     ms     × f32              MB     zip MB  misses
      f32      f32         0.876                 0.208  1                  0.856  0.778
    *>int8     int8-ptq    0.876  0        1     0.195  0.94 [0.90, 0.98]  0.243  0.209

`>` marks what is recommended, `*` the Pareto front.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

from tabulate import tabulate

from harness.advise import Candidate, Judged, Recommendation
from harness.advise.evidence import FLOAT
from harness.columns import significant
from harness.text import clean

SCHEMA = 1
HEADERS = (
    "",
    "variant",
    "arithmetic",
    "top-1",
    "lower by",
    "p",
    "cost",
    f"× {FLOAT}",
    "MB",
    "zip MB",
    "misses",
)
ALIGN = ("left", "left", "left", *("right",) * 7, "left")


def as_text(found: Recommendation) -> str:
    """Table, verdict and reasons, without a trailing newline."""
    cell = found.judged[0].candidate.cell
    where = f"{clean(cell.model)} on {clean(cell.device)} ({clean(cell.cpu)})"
    rows = [_row(judged, found) for judged in found.judged]
    table = tabulate(rows, _headers(found), "simple", colalign=ALIGN, disable_numparse=True)
    reasons = [f"- {reason.text}" for reason in found.reasons]
    return "\n".join([where, "", table, "", _verdict(found), *reasons, "", *_sources(found)])


def _headers(found: Recommendation) -> list[str]:
    emulated = found.judged[0].candidate.cell.emulated
    columns = list(HEADERS)
    columns[columns.index("cost")] = "M instr" if emulated else "ms"
    if any(judged.candidate.cell.energy_mj is not None for judged in found.judged):
        columns.insert(-1, "mJ")
    return columns


def _row(judged: Judged, found: Recommendation) -> list[str]:
    candidate = judged.candidate
    cell, accuracy, cost = candidate.cell, candidate.accuracy, candidate.cost
    compared = accuracy is not None and cell.arithmetic != FLOAT
    marks = ("*" if judged.pareto else "") + (">" if candidate is found.chosen else "")
    missed = [check.constraint.replace("_", "-") for check in judged.checks if not check.met]
    row = [
        marks,
        candidate.name,
        cell.arithmetic,
        "" if cell.top1 is None else f"{cell.top1:.3f}",
        f"{accuracy.drop:.2f}" if compared else "",
        f"{accuracy.p:.2g}" if compared else "",
        "" if cost is None else significant(cost.value / 1e6 if cell.emulated else cost.value),
        _ratio(candidate),
        "" if cell.size_bytes is None else significant(cell.size_bytes / 1e6),
        "" if cell.size_compressed_bytes is None else significant(cell.size_compressed_bytes / 1e6),
        ", ".join(missed) if candidate.valid else cell.verdict,
    ]
    if "mJ" in _headers(found):
        row.insert(-1, "" if cell.energy_mj is None else significant(cell.energy_mj))
    return row


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
    """Where the numbers come from; what is not valid, and why."""
    for judged in found.judged:
        cell = judged.candidate.cell
        if not judged.candidate.valid:
            yield clean(f"{cell.variant} is {cell.verdict}: {'; '.join(cell.reasons)}", 500)
    by_run: dict[tuple[int, str, bool], list[str]] = {}
    for judged in found.judged:
        trial = judged.candidate.trial
        by_run.setdefault((trial.run_id, trial.started, trial.reused), []).append(judged.candidate.name)
    for (run_id, started, reused), names in by_run.items():
        how = "reused, measured in" if reused else "measured now,"
        yield f"{', '.join(names)}: {how} run {run_id} of {started}"


def as_json(found: Recommendation) -> str:
    """The document that docs/quantization.md describes."""
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
