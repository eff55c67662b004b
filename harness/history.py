"""One figure over the releases, and where it changed: `series` reads it, `change_points` finds the steps."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.columns import COLUMNS, Column
from harness.errors import unknown_name
from harness.results import VALID, Cell
from harness.store import Store

# Columns that have a history, by the keys of harness/columns.py.
METRICS = (
    "latency_median_ms",
    "instructions",
    "top1",
    "auc",
    "size_bytes",
    "size_compressed_bytes",
    "peak_memory_bytes",
    "cold_start_ms",
    "energy_mj",
)
# Share of a value below which differences count as noise. Times differ that much between two sessions.
EXACT_NOISE, TIMED_NOISE = 0.002, 0.01
TIMED = ("latency_median_ms", "cold_start_ms", "energy_mj")
PENALTY = 2.5  # of one more level, times ln(n)
LONGEST = 400  # releases looked at, the newest


@dataclass(frozen=True)
class Point:
    """One release's value, in the unit of the metric's column.

    run_id, cell_id: where it is stored. started: of the run, ISO 8601.
    """

    release: str
    started: str
    run_id: int
    cell_id: int
    value: float


def column(metric: str) -> Column:
    """The column of a metric. Raises UsageError for an unknown one."""
    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    return next(column for column in COLUMNS if column.key == metric)


def series(store: Store, device: str, model: str, variant: str, metric: str) -> list[Point]:
    """A metric's value in each release, in the order of the releases' first runs.

    A release measured several times counts with its newest valid cell; a run without a release has none.
    Left out are cells that are not valid, milliseconds of emulators, and what is not like the newest cell:
    another processor, or for a share of samples another data set. Raises UsageError for an unknown metric.
    """
    get, runs = column(metric).get, store.runs()
    points: dict[str, Point] = {}
    cells = store.history(device, model, variant)
    newest = next((cell for _, _, cell in reversed(cells) if cell.verdict == VALID), None)
    for run_id, cell_id, cell in cells:
        run = runs[run_id]
        value = get(cell)
        if run.release is not None and value is not None and _counts(cell, newest, metric):
            points[run.release] = Point(run.release, run.started, run_id, cell_id, float(value))
    return list(points.values())[-LONGEST:]


def _counts(cell: Cell, newest: Cell | None, metric: str) -> bool:
    alike = newest is not None and (cell.arch, cell.cpu, cell.emulated) == (
        newest.arch,
        newest.cpu,
        newest.emulated,
    )
    if metric in ("top1", "auc"):
        alike = alike and cell.dataset_sha256 == newest.dataset_sha256
    return alike and cell.verdict == VALID and not (metric in TIMED and cell.emulated)


def noise_floor(metric: str) -> float:
    """Share of a metric's value below which `change_points` takes differences for noise."""
    return TIMED_NOISE if metric in TIMED else EXACT_NOISE


def change_points(values: Sequence[float], noise: float = TIMED_NOISE) -> list[int]:
    """Indexes at which a new level begins: 3 in [10, 10, 10, 12, 12]. Empty for fewer than two values.

    Fits a piecewise constant to the logarithms (to the values where one is not positive), by least absolute
    deviations; the number of levels k minimizes n·ln(noise + mean |residual|) + 2.5·ln(n)·(k − 1). This is
    the step detection of airspeed velocity (asv/step_detect.py: Potts functional with an information
    criterion, `noise` being its sigma_0), solved exactly by dynamic programming, with a factor 2.5 instead of
    4: releases are tens, commits thousands. White noise of up to `noise` then gives no step at all, and 10
    values show a step of 5 times the noise in nine of ten cases.
    """
    data = np.asarray(values, float)
    if len(data) < 2:
        return []
    data = np.log(data) if (data > 0).all() else data
    errors, last_starts = _best_fits(_segment_errors(data))
    n = len(data)
    scores = [n * math.log(noise + error / n) + PENALTY * math.log(n) * k for k, error in enumerate(errors)]
    return _starts(last_starts, int(np.argmin(scores)))


def _segment_errors(data: np.ndarray) -> np.ndarray:
    """(n, n + 1): [i, j] is Σ |x − median| over data[i:j], infinite where j ≤ i."""
    n = len(data)
    errors = np.full((n, n + 1), np.inf)
    for i in range(n):
        errors[i, i + 1 :] = list(_running_deviation(data[i:]))
    return errors


def _running_deviation(values: np.ndarray) -> Iterator[float]:
    """Σ |x − median| of every prefix: the upper half less the lower half, each kept in a heap."""
    low: list[float] = []  # negated: its top is the largest of the lower half
    high: list[float] = []
    low_sum = high_sum = 0.0
    for x in values.tolist():
        largest = -heapq.heappushpop(low, -x)
        heapq.heappush(high, largest)
        low_sum, high_sum = low_sum + x - largest, high_sum + largest
        if len(high) > len(low):
            moved = heapq.heappop(high)
            heapq.heappush(low, -moved)
            low_sum, high_sum = low_sum + moved, high_sum - moved
        middle = -low[0] if len(low) > len(high) else 0.0  # an odd one out is the median itself
        yield max(high_sum - (low_sum - middle), 0.0)


def _best_fits(segments: np.ndarray) -> tuple[list[float], list[np.ndarray]]:
    """For 1, 2, … levels: the least error of the whole, and where the last level of each prefix begins."""
    n = len(segments)
    prefix = np.concatenate([[np.inf], segments[0, 1:]])
    errors, last_starts = [float(prefix[n])], [np.zeros(n + 1, int)]
    while len(errors) < n and errors[-1] > 0:
        totals = prefix[:n, None] + segments  # [i, j]: prefix up to i, then one level over data[i:j]
        last_starts.append(np.argmin(totals, axis=0))
        prefix = np.min(totals, axis=0)
        errors.append(float(prefix[n]))
    return errors, last_starts


def _starts(last_starts: Sequence[np.ndarray], steps: int) -> list[int]:
    """Walks back from the end: where each of the `steps` later levels begins."""
    found, end = [], len(last_starts[0]) - 1
    for k in range(steps, 0, -1):
        end = int(last_starts[k][end])
        found.append(end)
    return found[::-1]
