"""Layers ranked by the error that each adds when it alone is int8, and what keeping the worst in float brings
and costs, as a table or JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from harness.quantize.sensitivity import Loss, Outcome, Sensitivity
from harness.text import clean

WIDEST = 40  # of a layer's name
FORMATS = ("table", "json")
LEGEND = """

alone: this layer in int8, all others in float. kept: this layer and all above in float, all others in int8.
dB: signal to quantization noise. loss: change of cross-entropy."""


@dataclass(frozen=True)
class Ranked:
    """A layer alone in int8, and the int8 network with it and all worse ones kept in float.

    slower: by what part of its cost this makes the network slower; None where no device was asked.
    """

    alone: Sensitivity
    kept: Outcome
    slower: float | None


def render(layers: Sequence[Ranked], exact: Loss | None, chosen: str) -> str:
    """layers: worst first. exact: loss of the float network, None where the samples say nothing about it."""
    if chosen == "json":
        return json.dumps([_record(layer, exact) for layer in layers], indent=1)
    macs = max(1, sum(layer.alone.macs for layer in layers))
    task = ["top-1", "loss"] if exact is not None else []
    headers = ["\nlayer", "\nop", "% of\nMACs"]
    headers += _below("alone:", ["its dB", "output dB", *task]) + _below("kept:", ["output dB", *task])
    if any(layer.slower is not None for layer in layers):
        headers.append("\n% slower")
    rows = [_row(layer, macs, exact) for layer in layers]
    align = ("left", "left", *["right"] * (len(headers) - 2))
    return tabulate(rows, headers, colalign=align, disable_numparse=True) + LEGEND


def _below(title: str, columns: list[str]) -> list[str]:
    """Headings of columns, with a title above the first."""
    return [f"{title}\n{columns[0]}", *(f"\n{name}" for name in columns[1:])]


def _row(layer: Ranked, macs: int, exact: Loss | None) -> list[str]:
    alone = layer.alone
    return [
        clean(alone.node, WIDEST),
        alone.op,
        f"{100 * alone.macs / macs:.1f}",
        _decibels(alone.layer_db),
        *_outcome(alone.outcome, exact),
        *_outcome(layer.kept, exact),
        *([] if layer.slower is None else [f"{100 * layer.slower:+.1f}"]),
    ]


def _outcome(found: Outcome, exact: Loss | None) -> list[str]:
    task = [] if exact is None else [f"{_top1(found, exact):+.3f}", f"{_entropy(found, exact):+.4f}"]
    return [_decibels(found.output_db), *task]


def _decibels(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "exact" if value > 0 else "nothing left"


def _top1(found: Outcome, exact: Loss) -> float:
    return found.loss.top1 - exact.top1


def _entropy(found: Outcome, exact: Loss) -> float:
    return found.loss.cross_entropy - exact.cross_entropy


def _record(layer: Ranked, exact: Loss | None) -> dict[str, object]:
    """One layer for scripts; null stands for what is not finite or not known."""
    alone = layer.alone
    return {
        "layer": alone.node,
        "op": alone.op,
        "macs": alone.macs,
        "layer_sqnr_db": _finite(alone.layer_db),
        **_figures(alone.outcome, exact),
        "kept": _figures(layer.kept, exact) | {"slower": layer.slower},
    }


def _figures(found: Outcome, exact: Loss | None) -> dict[str, float | None]:
    return {
        "output_sqnr_db": _finite(found.output_db),
        "top1_change": None if exact is None else _top1(found, exact),
        "cross_entropy_change": None if exact is None else _entropy(found, exact),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
