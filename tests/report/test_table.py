"""The table, as a reader sees it: expected output stands in the tests, as wide as it is."""

# ruff: noqa: E501

import csv
import io
import json
from dataclasses import replace
from functools import partial

import pytest

from harness.columns import COLUMNS, WIDE, significant
from harness.errors import UsageError
from harness.report.table import FORMATS, TERMINAL, render
from harness.report.wide import Notes, wide_table
from harness.results import Cell, Latency, RunRecord

RUN = RunRecord("2026-01-02T03:04:05+00:00", "0.1.0", "cd" * 32)


def cell(device: str, model: str, variant: str, top1: float, ms: float, size: int, **fields: object) -> Cell:
    arithmetic = {"int8": "int8-ptq"}.get(variant, variant)
    latency = Latency(ms, ms * 1.25, ms * 0.5, 0.125, 128, (ms * 0.75, ms * 1.5), ms * 2)
    known = {"emulated": False, "core": 3, "latency_ms": latency, "top1": top1, "top5": 0.9, "samples": 500}
    return Cell(device, "aarch64", "cortex-a72", model=model, variant=variant, arithmetic=arithmetic,
                size_bytes=size, **known | fields)  # fmt: skip


def pixel_like() -> list[Cell]:
    """The shape of the published Pixel 2 table, on a board."""
    return [
        cell("pi4", "mobilenet_v1_1.0_224", "f32", 0.709, 180, 16_900_000),
        cell("pi4", "mobilenet_v1_1.0_224", "hybrid", 0.657, 145, 4_300_000),
        cell("pi4", "mobilenet_v1_1.0_224", "int8", 0.7, 80.2, 4_300_000),
        cell("pi4", "resnet_v2_101", "f32", 0.77, 3973, 178_300_000),
        cell("pi4", "resnet_v2_101", "hybrid", 0.768, 2868, 44_900_000),
    ]


def emulated() -> list[Cell]:
    """An emulated device with one invalid and one failed cell and a warning."""
    common = {"emulated": True, "core": None}
    f32 = cell("qemu", "solar_cells", "f32", 0.85, 1.234, 350_000, instructions=36_900_123, **common)
    hybrid = cell("qemu", "solar_cells", "hybrid", 0.84, 0.987, 98_000, instructions=29_500_000, **common)
    int8 = cell("qemu", "solar_cells", "int8", 0.8, 0.5, 95_100, instructions=12_300_000, **common)
    return [
        replace(f32, verdict="invalid", reasons=("the governor changed (governor a -> b)",)),
        replace(hybrid, verdict="failed", reasons=("the runner died of SIGSEGV",), latency_ms=None, top1=None,
                instructions=None),
        replace(int8, warnings=("top-1 0.800 is under 98% of the float model's 0.850; calibrate on more samples",)),
    ]  # fmt: skip


def assert_shows(text: str, expected: str) -> None:
    assert [line.rstrip() for line in text.splitlines()] == expected.strip("\n").splitlines()


def test_table_on_a_board():
    assert_shows(
        render(pixel_like(), RUN),
        """
device  model                 top-1                      ms                      MB
                                f32  hybrid  int8-ptq   f32  hybrid  int8-ptq   f32  hybrid  int8-ptq
-----------------------------------------------------------------------------------------------------
pi4     mobilenet_v1_1.0_224  0.709   0.657     0.700   180     145      80.2  16.9    4.30      4.30
pi4     resnet_v2_101         0.770   0.768         —  3973    2868         —   178    44.9         —

top-1: share of samples whose best class is right; ms: median of one inference on one core; MB: model file,
  millions of bytes.
top-1 of 500 samples: ±0.041 (95 % interval).
""",
    )


def test_table_of_an_emulated_device_in_a_narrow_terminal():
    assert_shows(
        render(emulated(), RUN, width=80),
        """
device  model          top-1                           ms
                         f32   hybrid  int8-ptq       f32   hybrid  int8-ptq
----------------------------------------------------------------------------
qemu†   solar_cells  0.850!¹  failed²    0.800³  (1.23)!¹  failed²   (0.500)

device  model           MB                    M instr
                       f32  hybrid  int8-ptq      f32   hybrid  int8-ptq
------------------------------------------------------------------------
qemu†   solar_cells  0.350  0.0980    0.0951   36.9!¹  failed²      12.3

top-1: share of samples whose best class is right; ms: median of one inference
  on one core; MB: model file, millions of bytes; M instr: millions of
  instructions in one inference.
top-1 of 500 samples: ±0.035 (95 % interval).
† emulated: milliseconds in parentheses are the emulator's and compare with
  nothing; instructions and accuracy are exact.
! invalid: measured, but not to be trusted.
¹ invalid: the governor changed (governor a -> b)
² failed: the runner died of SIGSEGV
³ top-1 0.800 is under 98% of the float model's 0.850; calibrate on more samples
""",
    )


def test_the_wide_table_adds_what_costs_once():
    costs = {"load_ms": 0.25, "size_compressed_bytes": 15_000_000, "peak_memory_bytes": 20_500_000}
    noisy = replace(pixel_like()[0], warnings=("unstable: a; b",), **costs)
    assert_shows(
        render([noisy], RUN, layout=partial(wide_table, columns=WIDE)),
        """
device  model                 top-1    ms  first ms  load ms    MB  MB zip  MB RAM
                                f32   f32       f32      f32   f32     f32     f32
----------------------------------------------------------------------------------
pi4     mobilenet_v1_1.0_224  0.709  180¹       360    0.250  16.9    15.0    20.5

top-1: share of samples whose best class is right; ms: median of one inference on one core; first ms: the
  first inference of a process; load ms: from opening the model file to ready; MB: model file, millions of
  bytes; MB zip: the file in zlib; MB RAM: most that the process took.
top-1 of 500 samples: ±0.040 (95 % interval).
¹ unstable: a; b
""",
    )


def test_accuracy_that_was_not_measured_is_a_dash():
    cells = [replace(c, top1=None, top5=None, samples=None) for c in pixel_like()]
    first = render(cells, RUN).splitlines()[3]
    assert first.split()[2:5] == ["—", "—", "—"]


def test_warnings_with_the_same_fix_share_a_footnote():
    noisy = [
        replace(c, warnings=(f"unstable: standard deviation is {n}% of the mean; let the device cool",))
        for n, c in enumerate(pixel_like(), 12)
    ]
    text = render(noisy, RUN)
    assert text.endswith(
        "¹ unstable: standard deviation is 12% of the mean; let the device cool (and 4 more of this kind)"
    )
    assert text.count("¹") == 6


def test_two_footnotes_on_one_number():
    noisy = replace(pixel_like()[0], warnings=("unstable: a; b", "wide: c; d"))
    assert "180¹˒²" in render([noisy], RUN)


@pytest.mark.parametrize("width", range(40, 200, 10))
def test_every_group_is_there_at_any_width(width):
    text = render(emulated(), RUN, width=width)
    titles = text.partition("\n\ntop-1:")[0]
    assert [titles.count(t) for t in ("top-1", " ms", " MB", "M instr")] == [1, 1, 1, 1]
    if width >= 80:
        assert max(map(len, text.splitlines())) <= width


def test_markdown():
    assert_shows(
        render(emulated(), RUN, "markdown"),
        """
| device   | model       |   top-1 f32 |   top-1 hybrid |   top-1 int8-ptq |   ms f32 |   ms hybrid |   ms int8-ptq |   MB f32 |   MB hybrid |   MB int8-ptq |   M instr f32 |   M instr hybrid |   M instr int8-ptq |
|:---------|:------------|------------:|---------------:|-----------------:|---------:|------------:|--------------:|---------:|------------:|--------------:|--------------:|-----------------:|-------------------:|
| qemu†    | solar_cells |     0.850!¹ |        failed² |           0.800³ | (1.23)!¹ |     failed² |       (0.500) |    0.350 |      0.0980 |        0.0951 |        36.9!¹ |          failed² |               12.3 |

- top-1: share of samples whose best class is right; ms: median of one inference on one core; MB: model file, millions of bytes; M instr: millions of instructions in one inference.
- top-1 of 500 samples: ±0.035 (95 % interval).
- † emulated: milliseconds in parentheses are the emulator's and compare with nothing; instructions and accuracy are exact.
- ! invalid: measured, but not to be trusted.
- ¹ invalid: the governor changed (governor a -&#62; b)
- ² failed: the runner died of SIGSEGV
- ³ top-1 0.800 is under 98% of the float model's 0.850; calibrate on more samples
""",
    )


def test_latex():
    assert_shows(
        render(pixel_like()[:2], RUN, "latex"),
        r"""
\begin{tabular}{llrrrrrr}
\hline
 device   & model                   &   top-1 f32 &   top-1 hybrid &   ms f32 &   ms hybrid &   MB f32 &   MB hybrid \\
\hline
 pi4      & mobilenet\_v1\_1.0\_224 &       0.709 &          0.657 &      180 &         145 &     16.9 &        4.30 \\
\hline
\end{tabular}
\par\footnotesize
top-1: share of samples whose best class is right; ms: median of one inference on one core; MB: model file, millions of bytes. \\
top-1 of 500 samples: ±0.041 (95 % interval).
""",
    )


def test_latex_marks():
    text = render(emulated(), RUN, "latex")
    assert r"qemu\dag{} & solar\_cells" in text
    assert r"0.850!\textsuperscript{1} & failed\textsuperscript{2} & 0.800\textsuperscript{3}" in text
    assert r"\textsuperscript{3} top-1 0.800 is under 98\% of the float" in text


# --- for programs ---


def test_csv_has_a_line_per_cell_and_every_column():
    rows = list(csv.DictReader(io.StringIO(render([*pixel_like(), *emulated()], RUN, "csv"))))
    assert len(rows) == 8
    assert list(rows[0]) == [column.key for column in COLUMNS]
    assert rows[2]["latency_median_ms"] == "80.2"
    assert (rows[2]["latency_ci95_low_ms"], rows[2]["latency_ci95_high_ms"]) == (
        "60.150000000000006",
        "120.30000000000001",
    )
    assert (rows[2]["size_bytes"], rows[2]["arithmetic"], rows[2]["emulated"]) == (
        "4300000",
        "int8-ptq",
        "False",
    )
    failed = rows[6]
    assert (failed["verdict"], failed["reasons"]) == ("failed", "the runner died of SIGSEGV")
    assert failed["latency_median_ms"] == failed["top1"] == failed["instructions"] == ""


def test_certainty_of_an_accuracy_depends_on_the_number_of_samples():
    few, many = (replace(cell, samples=n) for cell, n in zip(pixel_like()[:2], (50, 50_000), strict=True))
    line = "top-1 of 50 samples: ±0.123, of 50000 samples: ±0.004 (95 % interval)."
    assert line in render([few, many], RUN).splitlines()
    row = next(csv.DictReader(io.StringIO(render([few], RUN, "csv"))))
    assert [row["top1_ci95_low"][:5], row["top1_ci95_high"][:5]] == ["0.562", "0.808"]
    assert "interval" not in render([replace(few, top1=None, samples=None)], RUN)


def test_an_auc_has_an_interval_too():
    cell = replace(pixel_like()[0], top1=None, top5=None, auc=0.9, samples=200, positives=100)
    assert "AUC of 200 samples: ±0.045 (95 % interval)." in render([cell], RUN).splitlines()
    row = next(csv.DictReader(io.StringIO(render([cell], RUN, "csv"))))
    assert [row["auc_ci95_low"][:5], row["auc_ci95_high"][:5]] == ["0.845", "0.935"]
    assert "interval" not in render([replace(cell, positives=None)], RUN)


def test_json_document():
    document = json.loads(render(emulated()[:1], RUN, "json"))
    assert document == {
        "schema": 1,
        "bench_version": "0.1.0",
        "runtime_sha256": "cd" * 32,
        "started": RUN.started,
        "environment": {},
        "cells": [{
            "device": "qemu", "arch": "aarch64", "cpu": "cortex-a72", "emulated": True, "core": None,
            "model": "solar_cells", "variant": "f32", "arithmetic": "f32", "verdict": "invalid",
            "reasons": ["the governor changed (governor a -> b)"], "warnings": [],
            "latency_ms": {"median": 1.234, "p90": 1.5425, "min": 0.617, "mad": 0.125, "n": 128,
                           "ci95": [0.9255, 1.851], "cold_start": 2.468},
            "load_ms": None, "instructions": 36_900_123, "top1": 0.85, "top5": 0.9, "auc": None, "positives": None, "samples": 500,
                "dataset_sha256": None,
            "size_bytes": 350_000, "size_compressed_bytes": None, "ota_delta_bytes": None,
                "peak_memory_bytes": None, "planned_memory_bytes": None, "energy_mj": None,
            "model_sha256": None, "top1_ci95": [pytest.approx(0.8160, abs=1e-4), pytest.approx(0.8786, abs=1e-4)],
            "auc_ci95": None,
        }],
    }  # fmt: skip


# --- hostile text ---

HOSTILE = "a|b<script>\x1b[31m\u202e$\\input{x}_&%#^~`*[x](y)\n=1"


@pytest.mark.parametrize("output_format", FORMATS)
def test_hostile_names_are_harmless_in_every_format(output_format):
    bad = replace(emulated()[1], device=HOSTILE, model=HOSTILE, arithmetic=HOSTILE, reasons=(HOSTILE,))
    text = render([bad], RUN, output_format)
    assert not {"\x1b", "\u202e"} & set(text)


def test_markdown_neither_breaks_the_row_nor_lets_markup_in():
    text = render([replace(emulated()[1], model=HOSTILE)], RUN, "markdown")
    header, _, row = text.splitlines()[:3]
    assert row.count("|") == header.count("|")
    assert "<script>" not in text
    assert "&#60;script&#62;" in text


def test_latex_commands_do_not_get_through():
    text = render([replace(emulated()[1], model=HOSTILE)], RUN, "latex")
    assert r"\input" not in text
    assert r"\textbackslash{}input\{x\}\_\&\%\#\textasciicircum{}\textasciitilde{}" in text


def test_csv_text_is_never_a_formula():
    bad = [replace(emulated()[1], model=name) for name in ("=cmd()", "+1", "-1", "@x", "\t=1")]
    for row in csv.DictReader(io.StringIO(render(bad, RUN, "csv"))):
        assert row["model"][0] in "'\\"


def test_unknown_format_suggests_one():
    with pytest.raises(UsageError, match="did you mean markdown"):
        render(pixel_like(), RUN, "markdwn")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.00123, "0.00123"),
        (0.4567, "0.457"),
        (4.3, "4.30"),
        (80.2, "80.2"),
        (1585.4, "1585"),
        (12345.6, "12346"),
    ],
)
def test_three_significant_digits(value, shown):
    assert significant(value) == shown


def test_the_numbers_of_footnotes_ascend_and_stand_once():
    notes = Notes(TERMINAL)
    assert notes.mark(["hot; cool it"]) == "¹"
    assert notes.mark(["busy; end it", "hotter; cool it", "hot; cool it"]) == "¹˒²"
    assert notes.lines() == ["¹ hot; cool it (and 1 more of this kind)", "² busy; end it"]
