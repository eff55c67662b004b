"""Writes the table of results/baseline.json into the README's first code block.

bench run --device qemu --model solar_cells --format json --out results/baseline.json
python scripts/readme_table.py
"""

from pathlib import Path

from harness import releases
from harness.report.table import render
from harness.results import RunRecord

ROOT = Path(__file__).parent.parent
FENCE = "```\n"


def table() -> str:
    """As `bench run` prints it in a terminal of 110 columns."""
    side = releases.read(str(ROOT / "results" / "baseline.json"), None)
    cells = [measured.cell for group in side.cells.values() for measured in group]
    return render(cells, RunRecord("", "", ""), "table", 110)


def main() -> None:
    readme = ROOT / "README.md"
    before, _, after = readme.read_text(encoding="utf-8").split(FENCE, 2)
    readme.write_text(f"{before}{FENCE}{table()}\n{FENCE}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
