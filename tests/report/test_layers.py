"""The table of `bench profile`."""

from __future__ import annotations

from harness.report import layers
from harness.roofline import Peaks
from harness.runner_events import NodeTime

NODES = [
    NodeTime(
        0, "conv\x1b[31m", "CONV_2D", "int8", "gemm_s8_scalar", 4_000_000, 200_000, (40_000, 50_000, 60_000)
    ),
    NodeTime(1, "pool", "MEAN", "int8", "mean_s8", 0, 1_000, (50_000, 50_000, 50_000)),
]
PEAKS = Peaks({"int8": 100.0}, {"int8": 8.0}, bandwidth=10.0)


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_times():
    text = layers.timed(NODES, PEAKS)
    assert "\x1b" not in text
    lines = rows(text)
    assert lines[2][1:] == [
        "CONV_2D",
        "int8",
        "gemm_s8_scalar",
        "4.000",
        "200.0",
        "50.0",
        "50.0",
        "80.0",
        "80.0",
        "compute",
    ]
    assert lines[3] == ["pool", "MEAN", "int8", "mean_s8", "0.000", "1.0", "50.0", "50.0", "0.2", "overhead"]
    assert lines[4] == ["total", "4.000", "201.0", "100.0", "100.0", "40.0"]
    assert text.splitlines()[-1] == "peaks: int8 100.0 GMAC/s; memory 10.0 GB/s"


def test_instructions():
    lines = rows(layers.counted(NODES, [1_000_000, 250_000], PEAKS))
    assert lines[2][4:] == ["4.000", "200.0", "1000.0", "80.0", "4.00", "50.0"]
    assert lines[3][4:] == ["0.000", "1.0", "250.0", "20.0"]
    assert lines[4] == ["total", "4.000", "201.0", "1250.0", "100.0", "3.20"]
