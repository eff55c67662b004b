"""results/peers-*.json as the tables of docs/speed.md: `python -m benchmarks.page` writes them anew."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tabulate import tabulate

from harness import stats
from harness.files import replacing

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "speed.md"
ENGINES = {"litert": "LiteRT", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}


def save(path: Path, found: dict) -> None:
    """A results file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def arm_table(found: dict) -> str:
    """Millions of instructions: ours, LiteRT's and the ratio, by network and form, for each processor."""
    cpus = list(dict.fromkeys(row["device"] for row in found["rows"]))
    lines: dict[tuple[str, str], list[str]] = {}
    for row in found["rows"]:
        cells = [
            f"{row['ours'] / 1e6:.1f}",
            f"{row['litert'] / 1e6:.1f}",
            _ratio(row["ours"] / row["litert"]),
        ]
        lines.setdefault((row["network"], row["form"]), []).extend(cells)
    names = {"qemu": "A72", "qemu-a76": "A76"}
    headers = [
        "network",
        "form",
        *(f"{names[cpu]} {what}" for cpu in cpus for what in ("ours", "LiteRT", "ratio")),
    ]
    return markdown([[*key, *cells] for key, cells in lines.items()], headers)


def latency_table(found: dict, isa: str) -> str:
    """Milliseconds of everyone under one ISA, and our share of each with its 95 % interval over rounds."""
    rows = []
    for (network, form), group in _by_network_and_form(found, isa).items():
        ours = group.pop("quantbench")
        cells = [network, form, f"{np.median(ours['ms']):.2f}"]
        for engine in ENGINES:
            peer = group.get(engine)
            cells += [f"{np.median(peer['ms']):.2f}", _ratio_of(ours, peer)] if peer else ["", ""]
        rows.append(cells)
    headers = ["network", "form", "ours ms"]
    return markdown(
        rows, [*headers, *(text for name in ENGINES.values() for text in (f"{name} ms", "ratio"))]
    )


def memory_table(found: dict) -> str:
    """Peak memory, and loading with the first inference: ours beside LiteRT's, natively."""
    rows = []
    for (network, form), group in _by_network_and_form(found, "native").items():
        ours, litert = group["quantbench"], group["litert"]
        first = [row["load_ms"] + row["first_ms"] for row in (ours, litert)]
        cells = [
            network,
            form,
            f"{ours['peak_mb']:.1f}",
            f"{litert['own_mb']:.1f}",
            f"{litert['peak_mb']:.1f}",
        ]
        cells += [_ratio(ours["peak_mb"] / litert["own_mb"]), f"{first[0]:.1f}", f"{first[1]:.1f}"]
        rows.append([*cells, _ratio(first[0] / first[1])])
    headers = ["network", "form", "ours MB", "LiteRT's own MB", "LiteRT's process MB", "ratio to own"]
    return markdown(rows, [*headers, "ours load + first ms", "LiteRT load + first ms", "ratio"])


def _by_network_and_form(found: dict, isa: str) -> dict[tuple[str, str], dict[str, dict]]:
    """Rows by engine for each network and form; of an engine's several files, the fastest."""
    groups: dict[tuple[str, str], dict[str, dict]] = {}
    for row in sorted(found["rows"], key=lambda row: -np.median(row["ms"])):
        if row["isa"] == isa:
            groups.setdefault((row["network"], row["form"]), {})[row["engine"]] = row
    order = list(dict.fromkeys((row["network"], row["form"]) for row in found["rows"]))
    return {key: groups[key] for key in order if key in groups}


def _ratio_of(ours: dict, peer: dict) -> str:
    """The median of the rounds' ratios, with its interval where there are enough rounds for one."""
    ratios = np.array(ours["ms"]) / np.array(peer["ms"])
    interval = stats.median_interval([np.array([ratio]) for ratio in ratios])
    shown = _ratio(float(np.median(ratios)))
    return shown if interval is None else f"{shown} ({interval[0]:.2f}–{interval[1]:.2f})"


def _ratio(value: float) -> str:
    return f"**{value:.2f}**" if value <= 1 else f"{value:.2f}"


def markdown(rows: list[list], headers: list[str]) -> str:
    """A table whose first two columns are text."""
    align = ["left", "left", *["right"] * (len(headers) - 2)]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


TABLES: dict[str, tuple[str, Callable[[dict], str]]] = {
    "arm": ("results/peers-arm.json", arm_table),
    "native": ("results/peers-x86.json", lambda found: latency_table(found, "native")),
    "avx2": ("results/peers-x86.json", lambda found: latency_table(found, "avx2")),
    "memory": ("results/peers-x86.json", memory_table),
}


def replaced(text: str, name: str, table: str) -> str:
    """`text` with what stands between the marks of `name` replaced; ValueError where they are missing."""
    pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"there must be one '<!-- {name} -->' with its '<!-- end -->'")
    return pattern.sub(lambda match: f"{match[1]}{table}\n{match[2]}", text)


def update() -> None:
    """Writes every table whose results file is there into docs/speed.md."""
    text = PAGE.read_text(encoding="utf-8")
    for name, (path, table) in TABLES.items():
        if (ROOT / path).is_file():
            text = replaced(text, name, table(json.loads((ROOT / path).read_text(encoding="utf-8"))))
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    update()
