"""Writes the table of docs/quantization.md: what every step of quantization costs and buys.

    python scripts/stages_table.py --model solar_cells
    python scripts/stages_table.py --model NAME --weights FILE --dataset FOLDER

Takes the options of `bench` that say which model, and prints Markdown. Top-1 is measured on this
machine, over all samples; instructions on the emulated Cortex-A72, where every sample takes as many.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tabulate import tabulate

from harness.cli import main

VARIANTS = ("f32", "int8-weights", "hybrid", "int8-stage1", "int8-stage2", "int8")
HEADERS = ["variant", "arithmetic", "top-1", "MB", "MB compressed", "M instructions"]


def cells(device: str, options: list[str], folder: Path) -> dict[str, dict]:
    """The cells of one run by variant."""
    out = folder / f"{device}.json"
    argv = ["--device", device, "--variants", ",".join(VARIANTS), *options, "--quick"]
    status = main([*argv, "--format", "json", "--out", str(out), "--store", str(folder / "results.db")])
    if status == 0:
        return {cell["variant"]: cell for cell in json.loads(out.read_text())["cells"]}
    raise SystemExit(status)


def table(options: list[str]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        here = cells("local", options, Path(folder))
        emulated = cells("qemu", [*options, "--samples", "10"], Path(folder))
    rows = [
        [
            f"`{name}`",
            here[name]["arithmetic"],
            f"{here[name]['top1']:.3f}",
            f"{here[name]['size_bytes'] / 1e6:.3f}",
            f"{here[name]['size_compressed_bytes'] / 1e6:.3f}",
            f"{emulated[name]['instructions'] / 1e6:.2f}",
        ]
        for name in VARIANTS
    ]
    align = ("left", "left", *["right"] * (len(HEADERS) - 2))
    return tabulate(rows, HEADERS, tablefmt="pipe", colalign=align, disable_numparse=True)


if __name__ == "__main__":
    print(table(sys.argv[1:]))
