"""A comparison of two releases as text: for a terminal, a pull request, GitHub's annotations, or a program.

device  model  variant  figure             base    new  change        99 % interval  p      verdict
pi4     net    int8     latency_median_ms  12.3   13.1  +6.5 %  +5.9 % to +7.0 %     1e-05  regressed
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence

from tabulate import tabulate

from harness.columns import significant
from harness.comparison import CONFIDENCE
from harness.errors import unknown_name
from harness.regression import IMPROVED, INCONCLUSIVE, NO_CHANGE, REGRESSED, Comparison, Finding
from harness.report import junit
from harness.text import clean

SCHEMA = 1
SUSPECTED = "suspected"
ORDER = (REGRESSED, SUSPECTED, INCONCLUSIVE, IMPROVED, NO_CHANGE)
LONGEST_NAME = 48
INTERVAL = f"{CONFIDENCE:.0%} interval".replace("%", " %")
HEADERS = ("device", "model", "variant", "figure", "base", "new", "change", INTERVAL, "p", "verdict")


def render(comparison: Comparison, output_format: str = "table") -> str:
    """The comparison as text, without a trailing newline. Raises UsageError for an unknown format."""
    if output_format not in FORMATS:
        raise unknown_name("format of a comparison", output_format, FORMATS)
    return FORMATS[output_format](comparison)


def shown_verdict(finding: Finding) -> str:
    """The verdict in one word or two; a regression that was measured once only is "suspected"."""
    return SUSPECTED if finding.verdict == REGRESSED and not finding.confirmed else finding.verdict


def summary(comparison: Comparison) -> str:
    """One line: "2.0 against 1.0: 1 regressed, 12 no change"."""
    counts = Counter(map(shown_verdict, comparison.findings))
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ORDER if counts[verdict])
    return f"{_name(comparison.new)} against {_name(comparison.base)}: {told or 'nothing to compare'}"


def _name(text: str) -> str:
    return clean(text, LONGEST_NAME)


def _percent(ratio: float | None) -> str:
    """A change as it is said: +5.1 %, and from ten times on ×12."""
    if ratio is None:
        return ""
    return f"×{ratio:.0f}" if ratio >= 10 else f"{100 * (ratio - 1):+.1f} %"


def _row(finding: Finding) -> list[str]:
    low, high = finding.interval or (None, None)
    return [
        *map(_name, finding.key),
        finding.metric,
        *("—" if value is None else significant(value) for value in (finding.base, finding.new)),
        _percent(finding.ratio),
        f"{_percent(low)} to {_percent(high)}" if finding.interval else "",
        "" if finding.p_corrected is None else f"{finding.p_corrected:.2g}",
        shown_verdict(finding),
    ]


def _remarks(comparison: Comparison) -> list[str]:
    """Why a verdict is what it is, each reason once with the figures that it is about; then the notes."""
    by_reason: dict[str, list[str]] = {}
    for finding in comparison.findings:
        if finding.reason:
            what = " ".join(map(_name, finding.key))
            by_reason.setdefault(finding.reason, []).append(f"{what} {finding.metric}")
    return [f"{', '.join(about)}: {reason}" for reason, about in by_reason.items()] + list(comparison.notes)


def _table(comparison: Comparison) -> str:
    align = (*["left"] * 4, *["right"] * 5, "left")
    rows = [_row(finding) for finding in comparison.findings]
    table = tabulate(rows, HEADERS, "simple", colalign=align if rows else None, disable_numparse=True)
    return "\n".join([table, "", *_remarks(comparison), summary(comparison)])


def _markdown(comparison: Comparison) -> str:
    """For a pull request: what changed, and everything else folded away."""
    changed = [f for f in comparison.findings if f.verdict != NO_CHANGE]
    lines = [f"**{_escaped(summary(comparison))}**"]
    if changed:
        lines += ["", _markdown_table(changed)]
    lines += ["", *(f"- {_escaped(remark)}" for remark in _remarks(comparison))]
    if len(changed) < len(comparison.findings):
        whole = _markdown_table(comparison.findings)
        lines += ["", "<details><summary>all figures</summary>", "", whole, "", "</details>"]
    return "\n".join(lines)


def _markdown_table(findings: Sequence[Finding]) -> str:
    rows = [[_escaped(text) for text in _row(finding)] for finding in findings]
    return tabulate(rows, HEADERS, "pipe", disable_numparse=True)


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is, whatever it holds; nobody is notified by an @."""
    return "".join(f"&#{ord(c)};" if c in "\\`*_[]<>|&~$@!#" else c for c in text)


def _github(comparison: Comparison) -> str:
    """Workflow commands: an error for each confirmed regression, a warning for each suspected one."""
    lines = []
    for finding in comparison.findings:
        level = {REGRESSED: "error", SUSPECTED: "warning", INCONCLUSIVE: "notice"}.get(shown_verdict(finding))
        if level is not None:
            title = " ".join([*map(_name, finding.key), finding.metric])
            message = f"{shown_verdict(finding)}: {sentence(finding)}"
            lines.append(f"::{level} title={_property(title)}::{_message(message)}")
    return "\n".join([*lines, summary(comparison)])


def sentence(finding: Finding) -> str:
    """The figures and the reason in one line."""
    values = [significant(value) for value in (finding.base, finding.new) if value is not None]
    change = f" ({_percent(finding.ratio)})" if finding.ratio is not None else ""
    return "; ".join(part for part in (" -> ".join(values) + change, finding.reason) if part)


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _json(comparison: Comparison) -> str:
    document = {"schema": SCHEMA, **dataclasses.asdict(comparison)}
    return json.dumps(document, indent=2, allow_nan=False)


def _junit(comparison: Comparison) -> str:
    cases = [
        junit.Case(
            suite=".".join(finding.key),
            name=finding.metric,
            outcome=shown_verdict(finding),
            message=sentence(finding),
        )
        for finding in comparison.findings
    ]
    failed, skipped = {REGRESSED}, {SUSPECTED, INCONCLUSIVE}
    return junit.document(f"{comparison.new} against {comparison.base}", cases, failed, skipped)


FORMATS = {"table": _table, "markdown": _markdown, "junit": _junit, "github": _github, "json": _json}
