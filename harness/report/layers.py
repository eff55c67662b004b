"""The table of `bench profile`: one line a layer, what it does, what it takes, and what limits it."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from harness.roofline import Peaks, bound, verdict
from harness.runner_events import NodeTime
from harness.text import clean

WIDEST_NAME = 40

Row = dict[str, object]


def timed(nodes: Sequence[NodeTime], peaks: Peaks) -> str:
    """Of a real device: times, and the roofline's verdicts."""
    medians = [node.median_ns for node in nodes]
    whole = sum(medians) or 1.0
    rows = [
        _what(node)
        | {
            "µs": ns / 1e3,
            "share %": 100 * ns / whole,
            "GMAC/s": node.macs / ns if ns and node.macs else None,
            "of bound %": _of_bound(node, peaks),
            "limit": verdict(node, peaks),
        }
        for node, ns in zip(nodes, medians, strict=True)
    ]
    total = _total(nodes) | {"µs": whole / 1e3, "share %": 100.0, "GMAC/s": _macs(nodes) / whole}
    note = f"peaks: {_listed(peaks.macs_per_ns, 'GMAC/s')}; memory {peaks.bandwidth:.1f} GB/s"
    return f"{_render([*rows, total])}\n\n{note}"


def counted(nodes: Sequence[NodeTime], instructions: Sequence[int], peaks: Peaks) -> str:
    """Of an emulated device: executed instructions, the same on every run; its times mean nothing."""
    whole = sum(instructions) or 1
    rows = [
        _what(node)
        | {
            "k instr": count / 1e3,
            "share %": 100 * count / whole,
            "MAC/instr": node.macs / count if count and node.macs else None,
            "of peak %": _of_peak(node, count, peaks),
        }
        for node, count in zip(nodes, instructions, strict=True)
    ]
    total = _total(nodes) | {"k instr": whole / 1e3, "share %": 100.0, "MAC/instr": _macs(nodes) / whole}
    note = f"peaks: {_listed(peaks.macs_per_instruction, 'MAC/instruction')}; emulated: no times"
    return f"{_render([*rows, total])}\n\n{note}"


def _what(node: NodeTime) -> Row:
    return {
        "layer": clean(node.name, WIDEST_NAME),
        "op": node.op,
        "arithmetic": node.arithmetic,
        "kernel": clean(node.kernel, WIDEST_NAME),
        "MMAC": node.macs / 1e6,
        "kB": node.bytes / 1e3,
    }


def _total(nodes: Sequence[NodeTime]) -> Row:
    return {"layer": "total", "MMAC": _macs(nodes) / 1e6, "kB": sum(node.bytes for node in nodes) / 1e3}


def _macs(nodes: Sequence[NodeTime]) -> int:
    return sum(node.macs for node in nodes)


def _of_bound(node: NodeTime, peaks: Peaks) -> float | None:
    least = bound(node, peaks)
    return 100 * least[0] / node.median_ns if least and node.median_ns else None


def _of_peak(node: NodeTime, instructions: int, peaks: Peaks) -> float | None:
    peak = peaks.macs_per_instruction.get(node.arithmetic)
    return 100 * node.macs / instructions / peak if peak and node.macs and instructions else None


def _listed(peaks: dict[str, float], unit: str) -> str:
    return ", ".join(f"{arithmetic} {peak:.1f} {unit}" for arithmetic, peak in sorted(peaks.items()))


def _render(rows: Sequence[Row]) -> str:
    formats = {"MMAC": ".3f", "share %": ".1f", "GMAC/s": ".1f", "MAC/instr": ".2f"}
    headers = list(rows[0])
    cells = [[row.get(header) for header in headers] for row in rows]
    return tabulate(cells, headers, floatfmt=[formats.get(h, ".1f") for h in headers], missingval="")
