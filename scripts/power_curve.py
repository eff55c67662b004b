"""Draws docs/figures/power.svg and prints its table: how often `bench compare` finds a slowdown.

python scripts/power_curve.py [TRIALS]      (needs the extra "figures"; about two minutes)
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np
from tabulate import tabulate

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tests.support import noise  # noqa: E402

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "power"  # the same bytes every time
from matplotlib import pyplot  # noqa: E402

FIGURE = ROOT / "docs" / "figures" / "power.svg"
SLOWDOWNS = (0, 1, 2, 3, 4, 5, 7, 10, 20)
SHOWN = (0, 3, 5, 10, 20)
SOURCES = {
    "synthetic": noise.synthetic_session,
    "recorded, f32, 2 other programs": noise.recorded_session("f32_shared"),
    "recorded, int8, 2 other programs": noise.recorded_session("int8_shared"),
    "recorded, f32, 5 other programs": noise.recorded_session("f32_busy"),
    "recorded, int8, 5 other programs": noise.recorded_session("int8_busy"),
}


def main(trials: int) -> None:
    rows, (axes_figure, axes) = [], pyplot.subplots(figsize=(7, 4))
    for name, session in SOURCES.items():
        rng = np.random.default_rng(1)
        rates = {s: noise.announced(rng, session, 1 + s / 100, trials) for s in SLOWDOWNS}
        axes.plot(SLOWDOWNS, [100 * rates[s][1] for s in SLOWDOWNS], marker="o", label=name)
        rows.append([name, *(f"{100 * rates[s][1]:.1f} ({100 * rates[s][0]:.1f})" for s in SHOWN)])
    axes.set(xlabel="injected slowdown, %", ylabel="announced as regressed, % of trials", ylim=(-3, 103))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize="small")
    FIGURE.parent.mkdir(exist_ok=True)
    axes_figure.tight_layout()
    axes_figure.savefig(FIGURE, metadata={"Date": None})
    print(tabulate(rows, ["noise", *(f"{s} %" for s in SHOWN)], "pipe"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
