"""Releases as rows, with the change points marked."""

from harness.history import Point
from harness.report.history import render


def points(*values):
    return [Point(f"1.{i}", "2026-01-02T03:04:05+00:00", i, i, value) for i, value in enumerate(values)]


def test_rows_and_a_change_with_its_release():
    lines = render(points(10, 10, 10, 12, 12), "latency_median_ms").splitlines()
    assert lines[0].split() == ["release", "measured", "latency_median_ms", "change"]
    assert lines[1].split() == ["1.0", "2026-01-02", "10.0", "#" * 25]
    assert lines[4].split()[4:] == ["+20.0", "%", "since", "1.3"]
    assert not any("since" in line for line in (*lines[:4], lines[5]))


def test_hostile_names_and_a_level_of_zero():
    odd = [Point("\x1b[31m", "", 1, 1, 0.0), Point("b", "", 2, 2, 0.0), Point("c", "", 3, 3, 0.0)]
    assert "\x1b" not in render(odd, "top1")
