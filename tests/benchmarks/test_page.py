"""Tables of the results files, and where they go."""

from __future__ import annotations

import json

import pytest

from benchmarks import page


def x86_row(engine: str, ms: list[float], **fields: object) -> dict:
    row = {
        "network": "net",
        "engine": engine,
        "form": "int8",
        "file": "int8.tflite",
        "isa": "native",
        "ms": ms,
    }
    memory = {"load_ms": 10.0, "first_ms": 2.0, "peak_mb": 30.0, "own_mb": 20.0}
    return row | memory | fields


FOUND = {
    "rows": [
        x86_row("quantbench", [1.0, 1.0, 1.2], load_ms=4.0, peak_mb=10.0),
        x86_row("litert", [2.0, 4.0, 2.0]),
        x86_row("openvino", [1.0, 2.0, 1.0], file="int8.xml"),
        x86_row("openvino", [0.5, 0.5, 0.5], file="int8.onnx"),
        x86_row("quantbench", [9.0, 9.0, 9.0], isa="avx2"),
    ]
}


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_ratios_are_taken_within_rounds_and_a_peer_shows_its_faster_file():
    (row,) = cells(page.latency_table(FOUND, "native"))
    assert row[:4] == ["net", "int8", "1.00", "2.00"]
    assert row[4].startswith("**0.50** (0.25–0.60")
    assert row[5:7] == ["", ""]
    assert row[7] == "0.50"
    assert row[8].startswith("2.00 (2.00–2.40")


def test_memory_beside_what_litert_took_for_the_model():
    assert cells(page.memory_table(FOUND)) == [
        ["net", "int8", "10.0", "20.0", "30.0", "**0.50**", "6.0", "12.0", "**0.50**"]
    ]


def test_instructions():
    rows = [
        {"network": "net", "form": "int8", "device": device, "ours": ours, "litert": 2_000_000}
        for device, ours in (("qemu", 1_000_000), ("qemu-a76", 3_000_000))
    ]
    table = page.arm_table({"rows": rows})
    assert "A72 ours" in table
    assert cells(table) == [["net", "int8", "1.0", "2.0", "**0.50**", "3.0", "2.0", "1.50"]]


def test_only_what_stands_between_the_marks_is_replaced():
    text = "a\n<!-- x -->\nold\nlines\n<!-- end -->\nb\n<!-- y -->\n1\n<!-- end -->\n"
    assert page.replaced(text, "x", "new") == text.replace("old\nlines", "new")
    with pytest.raises(ValueError, match="<!-- z -->"):
        page.replaced(text, "z", "new")


def test_the_page_shows_the_committed_results():
    """`python -m benchmarks.page` writes them anew."""
    text = page.PAGE.read_text(encoding="utf-8")
    for name, (path, table) in page.TABLES.items():
        if (page.ROOT / path).is_file():
            content = json.loads((page.ROOT / path).read_text(encoding="utf-8"))
            assert page.replaced(text, name, table(content)) == text, name
