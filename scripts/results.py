"""Measures the tables of the README and of docs/, and writes them there.

    python scripts/results.py                 measures everything, then writes: 20 minutes of an idle machine
    python scripts/results.py --only NAME     measures results/NAME.json alone, then writes
    python scripts/results.py --write         writes what results/ holds

A table stands in a page behind a comment that names its file and its layout:

    <!-- results/baseline.json wide -->
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from harness import releases
from harness.cli import main as bench
from harness.columns import WIDE
from harness.report.pixel2 import pixel2_table
from harness.report.table import render
from harness.report.wide import wide_table
from harness.results import RunRecord

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(<!-- (results/\S+\.json)(?: (\w+))? -->\n```\n)(.*?)(\n```\n)", re.S)
LAYOUTS = {None: wide_table, "wide": partial(wide_table, columns=WIDE), "pixel2": pixel2_table}
WIDTH = 110

MOBILENETS = "mobilenet_v1,mobilenet_v2"
LAB = ROOT.parent / "shared" / "lab"
LAB_NAME = "mobilenet_v1_0.25_128"
RUNS = {
    "baseline": ["--device", "qemu", "--model", "solar_cells", "--variants", "f32,hybrid,int8"],
    "networks-local": ["--device", "local", "--model", f"{MOBILENETS},inception_v3,resnet_v2_101",
                       "--weights", "seeded", "--variants", "all", "--quick"],
    "mobilenets-qemu": ["--device", "qemu", "--model", MOBILENETS, "--weights", "seeded",
                        "--variants", "all", "--quick", "--processes", "1"],
    "mobilenet-accuracy": ["--device", "local", "--model", LAB_NAME, "--variants", "all", "--quick",
                           "--weights", str(LAB / "models" / f"{LAB_NAME}_frozen.pb"),
                           "--qat", str(LAB / "models" / f"{LAB_NAME}_quant.tflite"),
                           "--dataset", str(LAB / "imagenet_sample"),
                           "--calibration", str(LAB / "imagenet_sample")],
}  # fmt: skip
"""Name of the file → what `bench` measures. The last needs real weights and images, on a shelf beside us."""


def measure(name: str) -> None:
    """Writes results/NAME.json; stops the script where a cell failed."""
    if str(LAB) in " ".join(RUNS[name]) and not LAB.is_dir():
        print(f"{name}: left as it is, because there is no {LAB}", file=sys.stderr)
        return
    status = bench([*RUNS[name], "--format", "json", "--out", str(ROOT / "results" / f"{name}.json")])
    if status > 1:  # 1: a number that is marked as invalid
        raise SystemExit(status)


def table(path: Path, layout: str | None = None) -> str:
    """As `bench run` prints it in a terminal of 110 columns, and where it was measured."""
    side = releases.read(str(path), None)
    cells = [measured.cell for group in side.cells.values() for measured in group]
    text = render(cells, RunRecord("", "", ""), "table", WIDTH, LAYOUTS[layout])
    return "\n".join([text, *environment(json.loads(path.read_bytes()))])


def environment(document: dict) -> Iterator[str]:
    """A line on when and where a file was measured; none for the file of a `bench` that did not say."""
    if (known := document.get("environment")) is None:
        return
    cpus = dict.fromkeys(cell["cpu"] for cell in document["cells"])
    yield (
        f"{document['started'][:10]}, bench {document['bench_version']}, {', '.join(cpus)}; "
        f"controller: {known['host']}, Python {known['python']}, load average {known['load']}"
    )


def written(page: str) -> str:
    """The page's text with its tables as results/ has them; one that was never measured stays as it is."""

    def block(found: re.Match) -> str:
        path = ROOT / found[2]
        return f"{found[1]}{table(path, found[3])}{found[5]}" if path.exists() else found[0]

    return BLOCK.sub(block, page)


def main(arguments: list[str]) -> None:
    if arguments[:1] != ["--write"]:
        for name in arguments[1:] if arguments[:1] == ["--only"] else RUNS:
            measure(name)
    for page in PAGES:
        page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
