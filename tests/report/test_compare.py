"""A comparison in every format, made up of one finding of each kind."""

import json
from xml.etree import ElementTree

import pytest

from harness.errors import UsageError
from harness.regression import Comparison, Finding
from harness.report.compare import render

HOSTILE = "net|`@all`<b>\x1b[31m\n::error::"
FOUND = Comparison(
    "1.0",
    "2.0",
    (
        Finding(
            "pi4", "net", "int8", "latency_median_ms", "regressed",
            10.0, 10.6, 1.06, (1.05, 1.07), 1e-5, 3e-5,
        ),
        Finding(
            "pi4", "net", "f32", "latency_median_ms", "regressed",
            10.0, 10.6, 1.06, (1.05, 1.07), 1e-5, 3e-5, "suspected, not confirmed", confirmed=False,
        ),
        Finding("pi4", "net", "f32", "instructions", "inconclusive", 5, None, reason="not measured in NEW"),
        Finding("pi4", HOSTILE, "f32", "size_bytes", "regressed", 100.0, 120.0, 1.2),
        Finding("pi4", "net", "f32", "top1", "no change", 0.9, 0.9, 1.0, p=1.0, p_corrected=1.0),
    ),
    ("only in 1.0: pi4 old f32",),
)  # fmt: skip


def test_table():
    lines = render(FOUND).splitlines()
    assert lines[2].split() == (
        [
            "pi4",
            "net",
            "int8",
            "latency_median_ms",
            "10.0",
            "10.6",
            "+6.0",
            "%",
            "+5.0",
            "%",
            "to",
            "+7.0",
            "%",
            "3e-05",
            "regressed",
        ]
    )
    assert lines[3].endswith("suspected")
    assert "pi4 net f32 instructions: not measured in NEW" in lines
    assert lines[-2] == "only in 1.0: pi4 old f32"
    assert lines[-1] == "2.0 against 1.0: 2 regressed, 1 suspected, 1 inconclusive, 1 no change"
    assert "\x1b" not in render(FOUND)


def test_markdown_shows_what_changed_and_folds_the_rest():
    text = render(FOUND, "markdown")
    changed, _, folded = text.partition("<details>")
    assert "top1" not in changed
    assert "top1" in folded
    for line in changed.splitlines():
        assert "@all" not in line
        assert "<b>" not in line


def test_github_annotations():
    lines = render(FOUND, "github").splitlines()
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning", "::notice", "::error", "2.0"]
    assert lines[0] == ("::error title=pi4 net int8 latency_median_ms::regressed: 10.0 -> 10.6 (+6.0 %25)")


def test_junit_can_be_parsed_and_counts():
    suite = ElementTree.fromstring(render(FOUND, "junit").encode())
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "2", "2")
    cases = {(c.get("classname"), c.get("name")): c for c in suite}
    failed = cases["pi4.net.int8", "latency_median_ms"].find("failure")
    assert failed.get("message") == "regressed: 10.0 -> 10.6 (+6.0 %)"
    assert len(cases["pi4.net.f32", "top1"]) == 0


def test_json_says_everything():
    document = json.loads(render(FOUND, "json"))
    assert (document["schema"], document["base"], document["new"]) == (1, "1.0", "2.0")
    assert document["findings"][0]["interval"] == [1.05, 1.07]
    assert document["findings"][1]["confirmed"] is False


def test_unknown_format_is_refused():
    with pytest.raises(UsageError, match="did you mean junit"):
        render(FOUND, "junitt")


def test_nothing_to_say():
    for output_format in ("table", "markdown", "github", "junit", "json"):
        assert render(Comparison("a", "b", ()), output_format)
