"""A figure over the releases for a terminal, with the releases marked that changed it.

release  measured    latency_median_ms                                change
1.0      2026-01-10               12.1  ############################
1.1      2026-02-03               12.2  ############################
1.2      2026-03-01               13.4  ###############################  +10.2 %, since 1.2
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tabulate import tabulate

from harness.columns import significant
from harness.history import Point, change_points, noise_floor
from harness.text import clean

BAR_WIDTH = 30
LONGEST_NAME = 32


def render(points: Sequence[Point], metric: str) -> str:
    """A row a release, oldest first; a change is that of the level, the median between change points."""
    values = [point.value for point in points]
    starts = change_points(values, noise_floor(metric))
    levels = [float(np.median(part)) for part in np.split(np.array(values), starts)]
    changes = {
        start: f"{_change(before, after)} since {_name(points[start])}"
        for start, before, after in zip(starts, levels, levels[1:], strict=False)
    }
    highest = max([abs(value) for value in values], default=0) or 1
    rows = [
        [_name(p), p.started[:10], significant(p.value), _bar(p.value / highest), changes.get(i, "")]
        for i, p in enumerate(points)
    ]
    headers = ["release", "measured", metric, "", "change"]
    align = ("left", "left", "right", "left", "left")
    return tabulate(rows, headers, "plain", colalign=align if rows else None, disable_numparse=True)


def _name(point: Point) -> str:
    return clean(point.release, LONGEST_NAME)


def _bar(share: float) -> str:
    return "#" * max(round(BAR_WIDTH * abs(share)), 1)


def _change(before: float, after: float) -> str:
    return f"{100 * (after / before - 1):+.1f} %" if before else f"{significant(after)} from 0"
