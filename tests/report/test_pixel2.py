"""The published table's columns: ours, what was published below it, and nothing ranked against each other."""

# ruff: noqa: E501

import csv
import io
from dataclasses import replace

import pytest

from harness.report.pixel2 import pixel2_table
from harness.report.table import render
from harness.results import Cell
from tests.report.test_table import RUN, assert_shows, cell, emulated


def measured() -> list[Cell]:
    """A model that was published, in three forms, and one that was not, without post-training int8."""
    v1 = [
        cell("pi4", "mobilenet_v1", "f32", 0.709, 58.1, 16_900_000),
        cell("pi4", "mobilenet_v1", "hybrid", 0.708, 50.1, 4_310_000),
        cell("pi4", "mobilenet_v1", "int8", 0.704, 39, 4_300_000),
        cell("pi4", "mobilenet_v1", "qat", 0.7, 40.2, 4_290_000),
    ]
    own = [cell("pi4", "own", "f32", 0.5, 1.5, 1_000_000), cell("pi4", "own", "qat", 0.49, 1, 250_000)]
    return [replace(c, arithmetic={"qat": "int8-qat"}.get(c.variant, c.arithmetic)) for c in v1 + own]


def test_the_nine_columns_with_what_was_published_below_ours():
    assert_shows(
        render(measured(), RUN, layout=pixel2_table),
        """
Model                       Top-1                      ms                    MB
                         original    PTQ    QAT  original   PTQ   QAT  original  optimized
------------------------------------------------------------------------------------------
mobilenet_v1                0.709  0.704  0.700      58.1  39.0  40.2      16.9       4.30
mobilenet_v1, published     0.709  0.657  0.700       180   145  80.2      16.9       4.30
own                         0.500      —  0.490      1.50     —  1.00      1.00      0.250

Measured on pi4 (cortex-a72, aarch64). original: f32; PTQ: int8-ptq; QAT: int8-qat; optimized: the int8-ptq
  file, or QAT's.
top-1: share of samples whose best class is right; ms: median of one inference on one core; MB: model file,
  millions of bytes.
top-1 of 500 samples: ±0.044 (95 % interval).
published: by others, one big core of a Pixel 2
  (https://www.tensorflow.org/lite/performance/model_optimization), its PTQ hybrid in some ops, float in
  others; not measured here and not to be ranked with ours.
""",
    )


def test_without_post_training_int8_the_column_is_hybrid_and_says_so():
    cells = [c for c in measured() if c.variant in ("f32", "hybrid") and c.model == "mobilenet_v1"]
    text = render(cells, RUN, layout=pixel2_table)
    assert "0.709  0.708    N/A" in text
    assert "PTQ: hybrid;" in text


def test_several_devices_have_a_column_and_an_emulators_milliseconds_their_parentheses():
    text = render([*measured(), *emulated()], RUN, layout=pixel2_table)
    assert text.splitlines()[0].split() == ["Model", "device", "Top-1", "ms", "MB"]
    assert "mobilenet_v1, published  Pixel 2" in text
    assert "qemu†" in text
    assert "(0.500)" in text
    assert "0.850!¹" in text


@pytest.mark.parametrize("output_format", ["markdown", "latex", "csv"])
def test_every_format_has_the_nine_columns(output_format):
    text = render(measured(), RUN, output_format, layout=pixel2_table)
    for title in ("Top-1 original", "Top-1 PTQ", "Top-1 QAT", "ms QAT", "MB original", "MB optimized"):
        assert title in text


def test_csv_holds_plain_figures():
    text = render(measured(), RUN, "csv", layout=pixel2_table)
    ours, published, own = csv.DictReader(io.StringIO(text))
    assert (ours["Model"], ours["ms PTQ"]) == ("mobilenet_v1", "39.0")
    assert published == ours | {
        "Model": "mobilenet_v1, published", "Top-1 PTQ": "0.657", "ms original": "180", "ms PTQ": "145", "ms QAT": "80.2",
    }  # fmt: skip
    assert own["Top-1 PTQ"] == ""


def test_published_figures_are_in_no_other_output():
    assert "published" not in render(emulated(), RUN, layout=pixel2_table)
    for output_format in ("table", "json", "csv", "markdown"):
        assert "published" not in render(measured(), RUN, output_format)
