"""The one list of table columns. A new column is one line here; it fills in for old runs too.

A column with a `header` stands in the wide table, once per variant; every column stands in the long form
(CSV).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from harness.results import Cell


def significant(value: float) -> str:
    """Three significant digits without an exponent: 0.00123, 0.457, 12.3, 1585."""
    if value == 0:
        return "0"
    decimals = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(decimals, 0)}f}"


def _millions(value: float) -> str:
    return significant(value / 1e6)


@dataclass(frozen=True)
class Column:
    """key: name in the long form, with the unit that `get` returns (None: not measured).

    header and meaning: of the wide table; `show` writes a value there. only_wide: not in the table that
    nobody asked more of. measured: the number comes from the device, so the cell's verdict is about it.
    clocked: a time, which under emulation compares with nothing. about: the first word of the warnings that
    the column carries; those that no other column claims are about the one with "". A column that can carry
    any is in every table.
    """

    key: str
    get: Callable[[Cell], object]
    header: str | None = None
    meaning: str = ""
    show: Callable[[float], str] = significant
    only_wide: bool = False
    measured: bool = True
    clocked: bool = False
    about: str | None = None


def _latency(figure: Callable) -> Callable[[Cell], object]:
    return lambda cell: figure(cell.latency_ms) if cell.latency_ms else None


def _fact(key: str) -> Column:
    """A field of the cell, as it is."""
    return Column(key, lambda cell: getattr(cell, key))


def _texts(key: str) -> Column:
    return Column(key, lambda cell: " | ".join(getattr(cell, key)))


# fmt: off
COLUMNS: tuple[Column, ...] = (
    *map(_fact, ("device", "arch", "cpu", "emulated", "core", "model", "variant", "arithmetic", "verdict")),
    Column("top1", lambda c: c.top1, "top-1", "share of samples whose best class is right",
           "{:.3f}".format, about="top-1"),
    Column("top1_ci95_low", lambda c: c.top1_ci95 and c.top1_ci95[0]),
    Column("top1_ci95_high", lambda c: c.top1_ci95 and c.top1_ci95[1]),
    Column("auc", lambda c: c.auc, "AUC", "area under the ROC curve of the anomaly scores", "{:.3f}".format),
    Column("auc_ci95_low", lambda c: c.auc_ci95 and c.auc_ci95[0]),
    Column("auc_ci95_high", lambda c: c.auc_ci95 and c.auc_ci95[1]),
    *map(_fact, ("top5", "samples", "positives")),
    Column("latency_median_ms", _latency(lambda x: x.median), "ms", "median of one inference on one core",
           clocked=True, about=""),
    Column("latency_ci95_low_ms", _latency(lambda x: x.ci95 and x.ci95[0])),
    Column("latency_ci95_high_ms", _latency(lambda x: x.ci95 and x.ci95[1])),
    Column("latency_p90_ms", _latency(lambda x: x.p90)),
    Column("latency_min_ms", _latency(lambda x: x.min)),
    Column("latency_mad_ms", _latency(lambda x: x.mad)),
    Column("latency_runs", _latency(lambda x: x.n)),
    Column("cold_start_ms", _latency(lambda x: x.cold_start), "first ms", "the first inference of a process",
           clocked=True, only_wide=True),
    Column("load_ms", lambda c: c.load_ms, "load ms", "from opening the model file to ready",
           clocked=True, only_wide=True),
    Column("size_bytes", lambda c: c.size_bytes, "MB", "model file, millions of bytes",
           _millions, measured=False),
    Column("size_compressed_bytes", lambda c: c.size_compressed_bytes, "MB zip", "the file in zlib",
           _millions, measured=False, only_wide=True),
    _fact("ota_delta_bytes"),
    Column("peak_memory_bytes", lambda c: c.peak_memory_bytes, "MB RAM", "most that the process took",
           _millions, only_wide=True),
    *map(_fact, ("planned_memory_bytes", "energy_mj")),
    Column("instructions", lambda c: c.instructions, "M instr", "millions of instructions in one inference",
           _millions),
    *map(_texts, ("reasons", "warnings")),
    *map(_fact, ("model_sha256", "dataset_sha256")),
)
# fmt: on

WIDE: tuple[Column, ...] = tuple(column for column in COLUMNS if column.header is not None)
TABLE: tuple[Column, ...] = tuple(column for column in WIDE if not column.only_wide)
