"""Compares two releases, cell by cell and figure by figure. The rules, once:

    figure        regressed when
    latency       Mann-Whitney p < 0.002 over processes, interval and ratio as harness/comparison.py says
    top-1         McNemar p < 0.01 on the paired predictions, or newly under 98 % of BASE's float top-1
    AUC           more than 0.01 below BASE
    instructions, sizes, peak memory      more than `threshold` above BASE: they have no noise to speak of
    verdict       the cell failed, and did not in BASE

The size of the update that turns BASE's model file into NEW's is told beside them (ota_delta_bytes).

p-values are corrected (Holm) over all cells of the comparison. Only like is compared with like; milliseconds
of emulators are never looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness import comparison, ota, stats
from harness.columns import COLUMNS
from harness.errors import UsageError
from harness.likeness import differences, own_noise
from harness.measure import MLPERF_FLOOR
from harness.releases import Key, Measured, Side
from harness.results import FAILED, INVALID
from harness.text import clean

REGRESSED, IMPROVED = "regressed", "improved"
NO_CHANGE, INCONCLUSIVE = "no change", "inconclusive"
LATENCY, TOP1, AUC, VERDICT = "latency_median_ms", "top1", "auc", "verdict"
EXACT = ("instructions", "size_bytes", "size_compressed_bytes", "peak_memory_bytes")
ACCURACY_ALPHA = 0.01
SHARE_DROP = 0.01  # of top-1 that counts where predictions cannot be paired
THRESHOLD = 0.01
# What figures without noise may vary by all the same: Linux maps up to 64 KiB around a page that is touched.
SLACK = {"peak_memory_bytes": 128 << 10}
MOST_DIFFERENCES = 4  # named in a refusal

_GETTERS = {column.key: column.get for column in COLUMNS}


@dataclass(frozen=True)
class Finding:
    """One figure of one cell in both releases. metric: a column's key, or "verdict".

    ratio: new / base. interval: of a latency's ratio. p, p_corrected: of the test, before and after Holm.
    confirmed: whether a regression may be announced: a latency once both releases were measured in turn.
    """

    device: str
    model: str
    variant: str
    metric: str
    verdict: str
    base: float | None = None
    new: float | None = None
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    p_corrected: float | None = None
    reason: str = ""
    confirmed: bool = True

    @property
    def key(self) -> Key:
        return self.device, self.model, self.variant


@dataclass(frozen=True)
class Comparison:
    """What `compare` found. notes: what was left out or differs by right."""

    base: str
    new: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = field(default=())

    def regressions(self) -> list[Finding]:
        """Those that are confirmed."""
        return [f for f in self.findings if f.verdict == REGRESSED and f.confirmed]

    def suspects(self) -> list[Finding]:
        """Slower cells that were measured only once."""
        return [f for f in self.findings if f.verdict == REGRESSED and not f.confirmed]


def compare(base: Side, new: Side, threshold: float = THRESHOLD) -> Comparison:
    """Every figure of every cell that both sides have. threshold: growth of exact figures that is let pass.

    Raises UsageError where nothing is on both sides, or where a pair is unlike, naming what differs.
    """
    keys = [key for key in base.cells if key in new.cells]
    if not keys:
        raise UsageError(f"'{base.name}' and '{new.name}' have no device, model and variant in common")
    pairs = {key: (base.newest(key), new.newest(key)) for key in keys}
    timed = {key: (base.newest_times(key), new.newest_times(key)) for key in keys}
    _refuse_unlike(base, new, pairs)
    _refuse_unlike(base, new, timed)
    findings = []
    for key, (old, recent) in pairs.items():
        findings += _latency(key, *timed[key])
        findings += _exact(key, old, recent, threshold)
        findings += _update(key, old, recent)
        findings += _accuracy(key, old, recent, _floor(base, key))
        findings += _auc(key, old, recent)
        findings += _failures(key, old, recent)
    findings = _corrected(findings, timed)
    return Comparison(base.name, new.name, tuple(findings), tuple(_notes(base, new, pairs)))


def _refuse_unlike(base: Side, new: Side, pairs: dict[Key, tuple[Measured, Measured]]) -> None:
    unlike = {key: found for key, pair in pairs.items() if (found := differences(*pair))}
    if not unlike:
        return
    named = [f"{clean(' '.join(key))}: {', '.join(found)}" for key, found in unlike.items()]
    more = f" (and {len(named) - MOST_DIFFERENCES} more cells)" if len(named) > MOST_DIFFERENCES else ""
    shown = "; ".join(named[:MOST_DIFFERENCES]) + more
    raise UsageError(
        f"'{base.name}' and '{new.name}' were not measured alike: {shown}; "
        "measure both under the same conditions, or choose what is alike with --device and --model"
    )


def _notes(base: Side, new: Side, pairs: dict[Key, tuple[Measured, Measured]]) -> Iterator[str]:
    for side, other in ((base, new), (new, base)):
        alone = [" ".join(key) for key in side.cells if key not in other.cells]
        if alone:
            yield clean(f"only in {side.name}: {', '.join(alone)}", 500)
    changed = [
        " ".join(key)
        for key, (old, recent) in pairs.items()
        if old.cell.model_sha256 != recent.cell.model_sha256
    ]
    if changed:
        yield clean(f"another model file: {', '.join(changed)}", 500)


# --- latency ---


def _latency(key: Key, base: Measured, new: Measured) -> Iterator[Finding]:
    """p_corrected is still missing, and `_corrected` gives the verdict."""
    times = base.cell.latency_ms, new.cell.latency_ms
    if base.cell.emulated or None in times:
        return
    finding = Finding(*key, LATENCY, INCONCLUSIVE, times[0].median, times[1].median)
    finding = replace(finding, ratio=finding.new / finding.base)
    if reason := _not_valid(base, new):
        yield replace(finding, reason=reason)
        return
    values = base.process_medians, new.process_medians
    if values[0] is None or values[1] is None:
        reason = "a file has no raw samples: compare releases of a database"
        yield replace(finding, reason=reason)
        return
    counts = [len(v) for v in values]
    if min(counts) < comparison.LEAST_VALUES:
        reason = (
            f"{counts[0]} and {counts[1]} processes, at least {comparison.LEAST_VALUES} a side are needed: "
            "measure both with --processes 20"
        )
        yield replace(finding, reason=reason)
        return
    shift = comparison.shift(*values)
    yield replace(
        finding,
        base=float(np.median(values[0])) / 1e6,
        new=float(np.median(values[1])) / 1e6,
        ratio=shift.ratio,
        interval=shift.interval,
        p=shift.p,
    )


def _not_valid(base: Measured, new: Measured) -> str:
    for name, cell in (("BASE", base.cell), ("NEW", new.cell)):
        if cell.verdict == INVALID:
            return clean(f"{name} is invalid: {'; '.join(cell.reasons)}", 200)
    return ""


def _corrected(findings: Sequence[Finding], pairs: dict[Key, tuple[Measured, Measured]]) -> list[Finding]:
    """With p-values corrected, each metric a family of its own, and with the verdicts that follow."""
    findings = list(findings)
    for metric, judge in ((LATENCY, _judged_latency), (TOP1, _judged_accuracy)):
        tested = [i for i, f in enumerate(findings) if f.metric == metric and f.p is not None]
        for i, p in zip(tested, comparison.holm([findings[i].p for i in tested]), strict=True):
            findings[i] = judge(replace(findings[i], p_corrected=p), pairs)
    return findings


def _judged_latency(finding: Finding, pairs: dict[Key, tuple[Measured, Measured]]) -> Finding:
    shift = comparison.Shift(finding.ratio, finding.interval, finding.p)
    base, new = pairs[finding.key]
    together = new.interleaved is not None and new.interleaved == base.interleaved
    # Processes that took turns saw the same state of the device: how it drifts between sessions is no matter.
    bound = comparison.ANNOUNCED if together else max(comparison.SUSPECTED, own_noise(base, new))
    verdict = comparison.latency_verdict(shift, finding.p_corrected, bound)
    if verdict == REGRESSED and not together:
        reason = "suspected, not confirmed: measure it again (--confirm)"
        return replace(finding, verdict=verdict, reason=reason, confirmed=False)
    reason = "too noisy to tell: stop other programs, or measure more processes"
    return replace(finding, verdict=verdict, reason=reason if verdict == INCONCLUSIVE else "")


# --- accuracy ---


def _floor(base: Side, key: Key) -> float | None:
    """The least top-1 of a quantized variant: a share of BASE's float one on the same samples."""
    device, model, variant = key
    measured = base.newest(key)
    floats = [base.newest(k) for k in base.cells if k[:2] == (device, model) and k[2] != variant]
    tops = [
        m.cell.top1
        for m in floats
        if m.cell.arithmetic == "f32" and m.cell.dataset_sha256 == measured.cell.dataset_sha256
    ]
    return (
        MLPERF_FLOOR * tops[0] if tops and tops[0] is not None and measured.cell.arithmetic != "f32" else None
    )


def _accuracy(key: Key, base: Measured, new: Measured, floor: float | None) -> Iterator[Finding]:
    before, after = base.cell.top1, new.cell.top1
    if before is None:
        return
    finding = Finding(*key, TOP1, INCONCLUSIVE, before, after, reason="not measured in NEW")
    if after is None:
        yield finding
        return
    finding = replace(finding, ratio=after / before if before else None, reason="")
    if floor is not None and after < floor <= before:
        reason = f"under the floor of {floor:.3f}, {MLPERF_FLOOR:.0%} of BASE's float top-1"
        yield replace(finding, verdict=REGRESSED, reason=reason)
    elif base.predictions and new.predictions:
        (dataset, old), (_, recent) = base.predictions, new.predictions
        p = stats.mcnemar(old.correct(dataset.labels, 1), recent.correct(dataset.labels, 1))
        yield replace(finding, p=p)
    else:
        yield replace(_by_share(finding), reason="by share, without pairs")


def _auc(key: Key, base: Measured, new: Measured) -> Iterator[Finding]:
    before, after = base.cell.auc, new.cell.auc
    if before is None:
        return
    finding = Finding(*key, AUC, INCONCLUSIVE, before, after, reason="not measured in NEW")
    if after is None:
        yield finding
    else:
        yield _by_share(replace(finding, ratio=after / before if before else None, reason=""))


def _by_share(finding: Finding) -> Finding:
    """The verdict by how far a share moved alone."""
    if abs(finding.new - finding.base) <= SHARE_DROP:
        return replace(finding, verdict=NO_CHANGE)
    return replace(finding, verdict=REGRESSED if finding.new < finding.base else IMPROVED)


def _judged_accuracy(finding: Finding, _pairs: object) -> Finding:
    if finding.p_corrected < ACCURACY_ALPHA:
        return replace(finding, verdict=REGRESSED if finding.new < finding.base else IMPROVED)
    if finding.new < finding.base - SHARE_DROP:
        return replace(finding, reason="lower, but too few samples to tell: measure more")
    return replace(finding, verdict=NO_CHANGE)


# --- exact figures, failures ---


def _exact(key: Key, base: Measured, new: Measured, threshold: float) -> Iterator[Finding]:
    if FAILED in (base.cell.verdict, new.cell.verdict):
        return
    for metric in EXACT:
        before, after = _GETTERS[metric](base.cell), _GETTERS[metric](new.cell)
        if not before:
            continue
        finding = Finding(*key, metric, NO_CHANGE, before, after)
        if after is None:
            yield replace(finding, verdict=INCONCLUSIVE, reason="not measured in NEW")
            continue
        if abs(after - before) > max(threshold * before, SLACK.get(metric, 0)):
            finding = replace(finding, verdict=REGRESSED if after > before else IMPROVED)
        yield replace(finding, ratio=after / before)


def _update(key: Key, base: Measured, new: Measured) -> Iterator[Finding]:
    """What a device that has BASE's model file must be sent; told, not judged."""
    files = base.cell.model_sha256, new.cell.model_sha256
    if None in files or files[0] == files[1]:
        return
    delta = ota.delta_bytes(*files)
    gone = "" if delta is not None else "unknown: a model file of the two is no longer kept on this machine"
    yield Finding(*key, "ota_delta_bytes", NO_CHANGE, new=delta, reason=gone)


def _failures(key: Key, base: Measured, new: Measured) -> Iterator[Finding]:
    for name, cell, verdict in (("NEW", new.cell, REGRESSED), ("BASE", base.cell, INCONCLUSIVE)):
        if cell.verdict == FAILED:
            reason = clean(f"{name} failed: {'; '.join(cell.reasons)}", 200)
            yield Finding(*key, VERDICT, verdict, reason=reason)
            return
