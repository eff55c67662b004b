"""Layers ranked by the error that each adds when it alone is int8, as a table or JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from tabulate import tabulate

from harness.quantize.sensitivity import Loss, Sensitivity
from harness.text import clean

WIDEST = 48  # of a layer's name
FORMATS = ("table", "json")


def render(layers: Sequence[Sensitivity], exact: Loss | None, chosen: str) -> str:
    """Worst first. exact: loss of the float network, None where the samples say nothing about it."""
    ranked = sorted(layers, key=lambda layer: (layer.output_db, layer.node))
    if chosen == "json":
        return json.dumps([_record(layer, exact) for layer in ranked], indent=1)
    macs = max(1, sum(layer.macs for layer in layers))
    headers = ["layer alone in int8", "op", "% of MACs", "its output, dB", "network's output, dB"]
    if exact is not None:
        headers += ["top-1", "cross-entropy"]
    rows = [
        [clean(layer.node, WIDEST), layer.op, f"{100 * layer.macs / macs:.1f}", *map(_decibels, _both(layer))]
        + ([f"{_top1(layer, exact):+.3f}", f"{_entropy(layer, exact):+.4f}"] if exact is not None else [])
        for layer in ranked
    ]
    align = ("left", "left", *["right"] * (len(headers) - 2))
    return tabulate(rows, headers, colalign=align, disable_numparse=True)


def _both(layer: Sensitivity) -> tuple[float, float]:
    return layer.layer_db, layer.output_db


def _decibels(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "exact" if value > 0 else "nothing left"


def _top1(layer: Sensitivity, exact: Loss) -> float:
    return layer.loss.top1 - exact.top1


def _entropy(layer: Sensitivity, exact: Loss) -> float:
    return layer.loss.cross_entropy - exact.cross_entropy


def _record(layer: Sensitivity, exact: Loss | None) -> dict[str, object]:
    """One layer for scripts; null stands for what is not finite or not known."""
    layer_db, output_db = (value if math.isfinite(value) else None for value in _both(layer))
    return {
        "layer": layer.node,
        "op": layer.op,
        "macs": layer.macs,
        "layer_sqnr_db": layer_db,
        "output_sqnr_db": output_db,
        "top1_change": None if exact is None else _top1(layer, exact),
        "cross_entropy_change": None if exact is None else _entropy(layer, exact),
    }
