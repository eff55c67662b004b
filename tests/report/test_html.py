"""The report page as a document: what stands on it, what cannot get into it; test_page.py opens it."""

import json
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli import main
from harness.columns import TABLE
from harness.errors import FormatError, UsageError
from harness.report import html, html_page
from harness.report.html import Selection
from harness.report.html_charts import pareto_front
from harness.report.html_samples import BINS, distribution
from harness.results import LatencySample
from harness.store import Store
from tests.support.report_store import Plan, fill

pytest.importorskip("plotly", reason="needs the extra 'report'")

EVERYTHING = Selection()
SMALL = Plan(devices=("pi4", "qemu"), models=("solar_cells",), releases=("v1", "v2"), slower="v2", runs=70)


def page(path: Path, selection: Selection = EVERYTHING) -> str:
    with Store.open(path) as store:
        return html.render(store, selection)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    where = tmp_path_factory.mktemp("report") / "results.db"
    fill(where, SMALL)
    return where


@pytest.fixture(scope="module")
def text(path) -> str:
    return page(path)


def data(text: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attributes) -> None:
        self.tags.append((tag, dict(attributes)))


def elements(text: str) -> list[tuple[str, dict]]:
    parser = _Elements()
    parser.feed(text)
    return parser.tags


# --- what stands on it ---


def test_the_table_has_the_columns_of_the_terminal(text):
    groups = re.findall(r'<th scope="colgroup"[^>]*>([^<]*)</th>', text)
    assert groups == [column.header for column in TABLE if column.key != "auc"]  # nobody measured it
    assert re.findall(r'<th scope="col" class="num[^"]*">([^<]*)</th>', text)[:3] == [
        "f32",
        "hybrid",
        "int8-ptq",
    ]


def test_every_figure_of_the_table_leads_to_its_cell(text):
    cells = data(text)["cells"]
    buttons = [a for tag, a in elements(text) if tag == "button" and "data-cell" in a]
    assert buttons
    assert all(button["data-cell"] in cells for button in buttons)
    newest = cells[str(max(map(int, cells)))]
    assert newest["title"] == "qemu · solar_cells · int8-ptq"
    assert dict(newest["figures"])["model sha256"] == "ef" * 32
    assert newest["facts"] == [["governor", "performance", "performance"]]
    assert ["settings: trial", "default"] in data(text)["runs"][str(newest["run"])]


def test_emulated_milliseconds_are_never_a_cost(text):
    drawn = data(text)
    panels = {panel["device"]: panel for panel in drawn["tradeoffs"]}
    assert panels["pi4"]["axis"] == "median latency, ms"
    assert panels["qemu"]["axis"] == "instructions, millions"
    assert [point["x"] for point in panels["qemu"]["points"]] == pytest.approx([900, 630, 450])
    assert {panel["device"]: panel["axis"] for panel in drawn["history"]} == {
        "pi4": "median latency, ms",
        "qemu": "instructions, millions",
    }
    assert {panel["device"]: panel["axis"] for panel in drawn["layers"]} == {
        "pi4": "median time, µs",
        "qemu": "multiply-accumulates, millions",
    }


def test_an_invalid_cell_is_not_on_the_front(tmp_path):
    fill(tmp_path / "r.db", replace(SMALL, devices=("pixel2",)))
    (panel,) = data(page(tmp_path / "r.db"))["tradeoffs"]
    invalid = next(point for point in panel["points"] if not point["valid"])
    assert [invalid["x"], invalid["y"]] not in panel["front"]
    assert len(panel["front"]) == 2


def test_a_change_point_is_marked_with_its_size(tmp_path):
    fill(tmp_path / "r.db", Plan(devices=("qemu",), models=("solar_cells",)))
    (panel,) = data(page(tmp_path / "r.db"))["history"]
    changes = {
        line["arithmetic"]: {p["release"]: p["change"] for p in line["points"] if p["change"]}
        for line in panel["lines"]
    }
    assert changes == {"f32": {}, "hybrid": {}, "int8-ptq": {"v0.6": "+25.0 %"}}


def test_layers_of_f32_and_int8_stand_side_by_side(text):
    panel = next(panel for panel in data(text)["layers"] if panel["device"] == "pi4")
    assert panel["arithmetics"] == ["f32", "hybrid", "int8-ptq"]
    assert set(panel["rows"][0]["values"]) == {"f32", "hybrid", "int8-ptq"}
    assert panel["rows"][6]["values"]["f32"] > panel["rows"][6]["values"]["int8-ptq"]


def test_a_table_for_each_release_that_is_asked_for(path):
    text = page(path, Selection(releases=("v1", "v2")))
    assert re.findall(r"<h3>(Release [^<]*)</h3>", text) == ["Release v2", "Release v1"]
    assert "Newest measurement" in page(path)


def test_selection_by_device(path):
    assert {cell["device"] for cell in data(page(path, Selection(devices=("pi4",))))["cells"].values()} == {
        "pi4"
    }


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(devices=("pi5",)), "unknown device 'pi5'.*pi4"),
        (Selection(models=("x",)), "unknown model"),
        (Selection(releases=("v3",)), "unknown release 'v3'"),
    ],
)
def test_an_unknown_name_is_refused(path, selection, message):
    with pytest.raises(UsageError, match=message):
        page(path, selection)


def test_an_empty_database_is_refused(tmp_path):
    with pytest.raises(UsageError, match="is empty"):
        page(tmp_path / "empty.db")


def test_sections_without_data_say_so(tmp_path):
    fill(tmp_path / "r.db", replace(SMALL, releases=("v1",), accuracy=False, profile=False))
    text = page(tmp_path / "r.db")
    for sentence in ("No accuracy yet", "No layer times are stored", "No history yet"):
        assert sentence in text


def test_the_command(path, tmp_path, capsys):
    out = tmp_path / "out.html"
    assert main(["report", "--html", str(out), "--store", str(path), "--device", "pi4"]) == 0
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert main(["report", "--html", str(out), "--store", str(path), "--device", "pi5"]) == 2
    assert "unknown device" in capsys.readouterr().err


def test_a_large_database_keeps_the_details_of_the_tables_and_the_newest(path, monkeypatch):
    monkeypatch.setattr(html_page, "MOST_DETAILS", 8)
    text = page(path)
    found = data(text)
    newest = {str(n) for n in range(7, 13)}  # of 12 cells in two runs, what the table shows
    assert newest < set(found["cells"])
    assert len(found["cells"]) == 8
    assert "the details of 8 of 12 cells" in text
    linked = {p["cell"] for h in found["history"] for line in h["lines"] for p in line["points"]}
    assert {str(cell) for cell in linked - {None}} <= set(found["cells"])
    assert None in linked


def test_it_is_made_for_readers_of_every_kind(text):
    found = elements(text)
    assert all(a.get("scope") for tag, a in found if tag == "th")
    assert all(a.get("aria-label") for _, a in found if a.get("role") in ("img", "region"))
    assert {"header", "nav", "main", "footer", "noscript"} <= {tag for tag, _ in found}
    ids = [a["id"] for _, a in found if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["aria-labelledby"] for _, a in found if "aria-labelledby" in a} <= set(ids)
    assert next(a for tag, a in found if tag == "html")["lang"] == "en"


# --- what cannot get into it ---

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&`${x}\u2028\u202e<b>"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("hostile") / "r.db"
    plan = replace(SMALL, devices=(HOSTILE, "qemu" + HOSTILE), models=(HOSTILE,), releases=(HOSTILE, "v2"))
    fill(path, replace(plan, layer_names=(HOSTILE, HOSTILE + "2")))
    return page(path)


def test_hostile_names_add_no_element(hostile, text):
    assert {tag for tag, _ in elements(hostile)} == {tag for tag, _ in elements(text)}
    assert sum(tag == "script" for tag, _ in elements(hostile)) == sum(
        tag == "script" for tag, _ in elements(text)
    )
    names = {name for _, attributes in elements(hostile) for name in attributes}
    assert not any(name.startswith("on") for name in names)
    assert not {"\u2028", "\u202e"} & set(hostile.replace(html._read("page.js"), ""))


def test_nothing_is_loaded_and_nothing_else_may_run(text):
    assert not [a for _, a in elements(text) if {"src", "srcset", "action", "data"} & set(a)]
    assert all(a["href"].startswith("#") for _, a in elements(text) if "href" in a)
    policy = next(
        a["content"] for tag, a in elements(text) if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.split("style-src")[0]


def test_a_script_that_would_end_its_element_is_refused():
    with pytest.raises(UsageError, match="cannot be put into a page"):
        html._script("'</SCRIPT>'")


@pytest.mark.parametrize(
    "change",
    [
        "top1 = 7",
        "latency_ms = json_set(latency_ms, '$.median', '<b>')",
    ],
)
def test_figures_that_no_measurement_gives_are_refused(path, tmp_path, change):
    tampered = Path(shutil.copy(path, tmp_path))
    with closing(sqlite3.connect(tampered)) as connection, connection:
        connection.execute(f"UPDATE cells SET {change}")
    with pytest.raises(FormatError, match="no measurement gives"):
        page(tampered)


def test_a_missing_package_is_named(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(UsageError, match=r"pip install 'quantbench\[report\]'"):
        page(path)


# --- figures ---

POINTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=30)


@given(POINTS)
def test_pareto_front_is_what_nothing_beats(points):
    front = pareto_front(points)
    beaten = {p for p in points if any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)}
    assert front == sorted(set(points) - beaten)


def process(ns) -> LatencySample:
    return LatencySample(0, np.asarray(ns), 1, 1, 1, None, "scalar", 1, None, 0, 0, 1.0)


@given(st.lists(st.lists(st.integers(1, 10**10), min_size=1, max_size=200), min_size=1, max_size=4))
def test_every_run_is_in_a_bin_or_counted_beside_them(groups):
    found = distribution([process(group) for group in groups])
    drawn = sum(map(sum, found["counts"]))
    assert drawn + found["below"] + found["above"] == found["n"] == sum(map(len, groups))
    assert all(len(counts) == BINS for counts in found["counts"])
    json.dumps(found, allow_nan=False)


def test_percentiles_that_n_does_not_support_are_left_out():
    assert [name for name, _ in distribution([process([10**6] * 63)])["quantiles"]] == [
        "min",
        "median",
        "max",
    ]
    assert "p90" in dict(distribution([process([10**6] * 64)])["quantiles"])


def test_no_runs_no_distribution():
    assert distribution([]) is None
