"""The reasons of a recommendation in plain words. Every number in them comes from the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.advise.choice import ALPHA, EXACT_TIE, Check, Constraints, checks, meets
from harness.advise.evidence import FLOAT, POST_TRAINING, Accuracy, Candidate, paired_accuracy
from harness.advise.slow_layers import slow_layers
from harness.columns import significant
from harness.text import clean

MISSED = {
    "max_drop": "loses {value} points, {excess} over the limit of {limit:g}",
    "budget_ms": "takes {value} ms, {excess} over the limit of {limit:g}",
    "max_mb": "has {value} MB, {excess} over the limit of {limit:g}",
    "fixed_point": "computes {value} of its layers in float",
}
# What would run int8 faster than the instruction set whose kernels ran.
MISSING_INSTRUCTIONS = {
    ("aarch64", "neon"): "this core has no dot-product instructions, so int8 multiplies at NEON's rate: "
    "a Cortex-A55, an A76 and what came after them have SDOT",
    ("armv7", "neon"): "this is a 32-bit ARM system: on a 64-bit one the same board runs wider kernels",
    ("aarch64", "dotprod"): "this core has dot products but no i8mm: what has SMMLA multiplies int8 faster",
    ("x86_64", "avx2"): "this core has no VNNI, so int8 multiplies in 16-bit steps",
}
Candidates = Sequence[Candidate]


@dataclass(frozen=True)
class Reason:
    """about: what it speaks of, one word for programs."""

    about: str
    text: str


def of_choice(chosen: Candidate, candidates: Candidates, constraints: Constraints) -> Iterator[Reason]:
    """Why this one."""
    yield from _accuracy(chosen)
    yield from _cost(chosen)
    yield Reason("size", _size(chosen))
    yield from _rivals(chosen, candidates, constraints)
    yield from _layers(chosen)
    yield from _processor(chosen, candidates)
    yield from _training(chosen, candidates, constraints)


def of_failure(
    nearest: Candidate | None, candidates: Candidates, constraints: Constraints
) -> Iterator[Reason]:
    """Which constraint fails by how much, and what might help."""
    if nearest is None:
        yield Reason("verdict", "no variant was measured validly: see the reasons in the table")
        return
    failed = [check for check in checks(nearest, constraints) if not check.met]
    if not failed:
        yield Reason("cost", "no variant that meets the constraints has a cost to rank it by")
    for check in failed:
        yield Reason(check.constraint, f"{nearest.name} {_missed(check)}")
        yield from _help(check, nearest)
    yield from _layers(nearest)
    yield from _processor(nearest, candidates)
    yield from _training(None, candidates, constraints)


def _accuracy(chosen: Candidate) -> Iterator[Reason]:
    accuracy = chosen.accuracy
    if chosen.cell.arithmetic == FLOAT:
        return
    if accuracy is None:
        yield Reason("accuracy", "not measured: this is a choice by cost alone")
        return
    yield Reason(
        "accuracy",
        f"top-1 {accuracy.top1:.3f} against {FLOAT}'s {accuracy.other_top1:.3f}, {_points(accuracy.drop)}: "
        f"{accuracy.lost} of {accuracy.samples} samples are right in {FLOAT} only, {accuracy.won} in "
        f"{chosen.name} only; {_difference(accuracy)}",
    )


def _points(drop: float) -> str:
    if not drop:
        return "no drop"
    return f"{abs(drop):.2f} points {'lower' if drop > 0 else 'higher'}"


def _difference(accuracy: Accuracy) -> str:
    shown = "a real difference" if accuracy.p < ALPHA else "no difference that these samples can show"
    return f"{shown} (McNemar p = {accuracy.p:.2g})"


def _cost(chosen: Candidate) -> Iterator[Reason]:
    cost = chosen.cost
    if cost.unit == "instructions":
        ratio = "" if cost.ratio is None else f", {cost.ratio:.2f} × {FLOAT}'s"
        yield Reason(
            "cost",
            f"{significant(cost.value / 1e6)} M instructions{ratio}; the device is emulated, so "
            "instructions stand for the cost: its milliseconds mean nothing",
        )
        return
    yield Reason("cost", f"{significant(cost.value)} ms{_ratio(chosen)}")


def _ratio(candidate: Candidate) -> str:
    cost = candidate.cost
    if cost.ratio is None or candidate.cell.arithmetic == FLOAT:
        return ""
    interval = f" [{cost.interval[0]:.2f}, {cost.interval[1]:.2f}]" if cost.interval else ""
    return f", {cost.ratio:.2f}{interval} × {FLOAT}'s (95 % interval, paired by round)"


def _size(chosen: Candidate) -> str:
    cell = chosen.cell
    packed = cell.size_compressed_bytes
    compressed = f", {significant(packed / 1e6)} MB compressed for an update" if packed else ""
    return f"{significant(cell.size_bytes / 1e6)} MB on disk{compressed}"


def _rivals(chosen: Candidate, candidates: Candidates, constraints: Constraints) -> Iterator[Reason]:
    """What is cheaper or smaller, and was not taken."""
    for other in candidates:
        if other is chosen or not other.valid:
            continue
        failed = [check for check in checks(other, constraints) if not check.met]
        if failed:
            yield Reason("rival", f"{other.name} is out: it {' and '.join(map(_missed, failed))}")
        elif other.trained and not chosen.trained:
            yield Reason("rival", f"{other.name} would do too: post-training quantization comes first")
        elif chosen.trained and other.cell.arithmetic == POST_TRAINING:
            yield Reason("rival", f"{other.name} would do too{_beside(chosen, other)}")
        elif other.relative_cost is not None and other.relative_cost < chosen.relative_cost:
            yield Reason("rival", f"{other.name} would do too{_tied(other)}, and its file is larger")


def _tied(other: Candidate) -> str:
    if other.cell.emulated:
        return f": it takes as many instructions within {EXACT_TIE:.0%}"
    return f"{_ratio(other)}: these runs cannot tell which is faster (--processes 9 may)"


def _beside(trained: Candidate, other: Candidate) -> str:
    found = paired_accuracy(trained.trial, other.trial)
    if found is None:
        return ""
    return f": top-1 {found.other_top1:.3f}, {_difference(found)}"


def _missed(check: Check) -> str:
    if check.value is None:
        return f"was not measured for {check.constraint.replace('_', '-')}"
    shown = str if check.constraint == "fixed_point" else significant
    return MISSED[check.constraint].format(
        value=shown(check.value), excess=shown(check.excess), limit=check.limit
    )


def _help(check: Check, nearest: Candidate) -> Iterator[Reason]:
    hints = {
        "max_drop": "more calibration samples, bench quantize --explain to find the layers that lose, "
        "or quantization-aware training",
        "budget_ms": "a smaller input or a narrower network, pruning, or a core with the instructions below",
        "max_mb": "a narrower network, pruning or a decomposition of its largest layers",
        "fixed_point": "replace the ops that have no int8 form: "
        + clean(", ".join(nearest.float_layers[:5]), 200),
    }
    yield Reason("help", f"what might help: {hints[check.constraint]}")


def _layers(chosen: Candidate) -> Iterator[Reason]:
    trial = chosen.trial
    emulated = chosen.cell.emulated
    before = trial.reference.layers if trial.reference not in (None, trial) else ()
    unit = "MAC/instruction" if emulated else "GMAC/s"
    for layer in slow_layers(trial.layers, before, emulated):
        ratio = "" if layer.against_float is None else f" ({layer.against_float:.2f} × {FLOAT}'s)"
        yield Reason(
            "layer",
            f"{clean(layer.name)} stays slow: {layer.share:.0%} of the whole{ratio}, "
            f"{layer.rate:.2f} {unit} where {clean(layer.best)} reaches {layer.best_rate:.2f}; {layer.why}",
        )


def _processor(chosen: Candidate, candidates: Candidates) -> Iterator[Reason]:
    found = MISSING_INSTRUCTIONS.get((chosen.cell.arch, chosen.trial.isa or ""))
    if found and any(c.cell.arithmetic.startswith(("int8", "hybrid")) for c in candidates):
        yield Reason("processor", f"{chosen.cell.cpu}: {found}")


def _training(chosen: Candidate | None, candidates: Candidates, constraints: Constraints) -> Iterator[Reason]:
    """Whether quantization-aware training pays; nobody knows where post-training int8 was not measured."""
    plain = [c for c in candidates if c.valid and c.cell.arithmetic == POST_TRAINING]
    plain.sort(key=lambda c: -(c.cell.top1 or 0.0))
    trained = [c for c in candidates if c.valid and c.trained]
    if not plain:
        return
    good = next((c for c in plain if meets(c, constraints)), None)
    if chosen is not None and chosen.trained:
        why = f"{plain[0].name}, which was not trained, misses a target that {chosen.name} meets"
        if good is not None:
            why = f"fixed-point hardware has no float to fall back on, and {good.name} is not more accurate"
        yield Reason("training", f"training pays: {why}")
    elif good is not None:
        yield Reason("training", f"training would not pay: post-training {good.name} meets every target")
    else:
        yield Reason("training", _untrained(plain[0], trained, constraints))


def _untrained(plain: Candidate, trained: Candidates, constraints: Constraints) -> str:
    failed = {check.constraint for check in checks(plain, constraints) if not check.met}
    if trained:
        met = any(meets(c, constraints) for c in trained)
        return (
            f"training {'helps, but costs more here' if met else 'does not help here'}: {trained[0].name}"
            + (" meets every target" if met else " misses a target as well")
        )
    if failed <= {"max_drop"}:
        return (
            f"training may pay: {plain.name} fails by accuracy alone, and what it costs stays the same; "
            "give the trained network with --qat FILE"
        )
    return f"training would not help: a trained network costs what post-training {plain.name} costs"
