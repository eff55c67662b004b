"""What the page's charts draw, as plain dicts and lists. An emulator's time is never drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from harness.history import change_points, noise_floor, series
from harness.report.html_cells import Entry, dataset_of, shown
from harness.results import FAILED, VALID, Cell
from harness.store import Store

CLOCK = "median latency, ms"
COUNT = "instructions, millions"
LAYER_CLOCK = "median time, µs"
WORK = "multiply-accumulates, millions"


def cost(cell: Cell) -> tuple[float, float, float] | None:
    """What one inference costs, and the ends of its interval: milliseconds, or millions of instructions on an
    emulated device; None where that was not measured."""
    if cell.verdict == FAILED:
        return None
    if cell.emulated:
        return (cell.instructions / 1e6,) * 3 if cell.instructions is not None else None
    if cell.latency_ms is None:
        return None
    median = cell.latency_ms.median
    return (median, *(cell.latency_ms.ci95 or (median, median)))


def axis(cell: Cell) -> str:
    """The title of the axis that `cost` is drawn on."""
    return COUNT if cell.emulated else CLOCK


def pareto_front(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The (cost, accuracy) points that no other beats: cheaper at no less accuracy. Cheapest first."""
    front: list[tuple[float, float]] = []
    for spent, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or accuracy > front[-1][1]:
            front.append((spent, accuracy))
    return front


def tradeoffs(entries: Sequence[Entry], store: Store) -> list[dict]:
    """Accuracy against cost: a panel for each device and data set, since only those compare.

    An invalid cell is drawn, marked, and never on the front.
    """
    panels: dict[tuple, dict] = {}
    for entry in entries:
        cell, point = entry.cell, _tradeoff_point(entry)
        if point is None:
            continue
        dataset = dataset_of(store, entry)
        panel = panels.setdefault(
            (cell.device, dataset, cell.samples),
            {"device": shown(cell.device), "dataset": dataset, "samples": cell.samples,
             "emulated": cell.emulated, "axis": axis(cell), "points": []},
        )  # fmt: skip
        panel["points"].append(point)
    for panel in panels.values():
        panel["front"] = pareto_front((p["x"], p["y"]) for p in panel["points"] if p["valid"])
    return list(panels.values())


def _tradeoff_point(entry: Entry) -> dict | None:
    """Cost as x, top-1 as y, each with the ends of its 95 % interval; None where one was not measured."""
    cell, spent = entry.cell, cost(entry.cell)
    if spent is None or cell.top1_ci95 is None:
        return None
    low, high = cell.top1_ci95
    x = dict(zip(("x", "x_low", "x_high"), spent, strict=True))
    return _named(entry) | x | {"y": cell.top1, "y_low": low, "y_high": high}


def sizes(entries: Sequence[Entry]) -> list[dict]:
    """Bytes of every model file, each model and arithmetic once: a file is the same for every device."""
    found = {}
    for entry in entries:
        cell = entry.cell
        if cell.size_bytes is not None:
            point = _named(entry) | {"bytes": cell.size_bytes, "compressed": cell.size_compressed_bytes}
            found.setdefault((cell.model, cell.variant, cell.arithmetic), point)
    return list(found.values())


def layers(entries: Sequence[Entry], store: Store) -> list[dict]:
    """Time of every layer: a panel for each device and model, a value per arithmetic where it has the layer.

    An emulated device's panel shows multiply-accumulates: its times are the emulator's.
    """
    panels: dict[tuple, dict] = {}
    for entry in entries:
        cell, nodes = entry.cell, store.layers(entry.id)
        if not nodes:
            continue
        panel = panels.setdefault(
            (cell.device, cell.model),
            {"device": shown(cell.device), "model": shown(cell.model), "emulated": cell.emulated,
             "axis": WORK if cell.emulated else LAYER_CLOCK, "arithmetics": [], "rows": {}},
        )  # fmt: skip
        arithmetic = shown(cell.arithmetic)
        panel["arithmetics"].append(arithmetic)
        for node in nodes:
            value = node.macs / 1e6 if cell.emulated else float(np.median(node.ns)) / 1e3
            row = {"name": shown(node.name), "op": shown(node.op), "values": {}}
            values = panel["rows"].setdefault(node.name, row)["values"]
            values[arithmetic] = values.get(arithmetic, 0.0) + value
    return [panel | {"rows": list(panel["rows"].values())} for panel in panels.values()]


def histories(entries: Sequence[Entry], store: Store) -> list[dict]:
    """Cost over the releases: a panel for each device and model, a line per arithmetic, with change points.

    A panel is left out where no line has two points.
    """
    panels: dict[tuple, dict] = {}
    for entry in entries:
        cell = entry.cell
        metric = "instructions" if cell.emulated else "latency_median_ms"
        points = series(store, cell.device, cell.model, cell.variant, metric)
        if len(points) < 2:
            continue
        scale = 1e-6 if cell.emulated else 1.0
        values = [point.value * scale for point in points]
        steps = _steps(values, change_points(values, noise_floor(metric)))
        panel = panels.setdefault(
            (cell.device, cell.model),
            {"device": shown(cell.device), "model": shown(cell.model), "axis": axis(cell), "lines": []},
        )
        line = [
            {"cell": p.cell_id, "release": shown(p.release), "value": value, "change": steps.get(i),
             "started": shown(p.started[:16].replace("T", " "))}
            for i, (p, value) in enumerate(zip(points, values, strict=True))
        ]  # fmt: skip
        panel["lines"].append({"arithmetic": shown(cell.arithmetic), "points": line})
    return list(panels.values())


def _steps(values: Sequence[float], starts: Sequence[int]) -> dict[int, str]:
    """Index at which a level begins → the change of the level's median, as a reader writes it."""
    bounds = [0, *starts, len(values)]
    levels = [float(np.median(values[a:b])) for a, b in pairwise(bounds)]
    return {
        start: f"{100 * (after / before - 1):+.1f} %" if before > 0 else "changed"
        for start, (before, after) in zip(starts, pairwise(levels), strict=True)
    }


def _named(entry: Entry) -> dict:
    cell = entry.cell
    return {
        "cell": entry.id,
        "model": shown(cell.model),
        "arithmetic": shown(cell.arithmetic),
        "valid": cell.verdict == VALID,
    }
