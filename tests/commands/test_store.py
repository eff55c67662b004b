"""`bench store`: what is in a database, and to and from a file."""

import json
from dataclasses import replace

import pytest

from harness.cli import main
from harness.store import Store
from tests.support.measurements import RUN, another_run, failed, measurement


@pytest.fixture
def bench(capsys):
    """Runs a command; exit code, standard output and standard error."""

    def run(*argv: object) -> tuple[int, str, str]:
        code = main(["store", *map(str, argv)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def filled(tmp_path):
    path = tmp_path / "filled.db"
    hostile = replace(another_run(), release="v2\x1b[31m", started="2026-02-01T00:00:00+00:00")
    with Store.open(path) as opened:
        opened.merge([(RUN, measurement()), (RUN, failed()), (hostile, measurement())])
    return path


def test_runs(bench, filled):
    code, out, _ = bench("runs", "--store", filled)
    assert code == 0
    assert [line.split() for line in out.splitlines()[2:]] == [
        ["1", "v1.0", "2026-01-02T03:04:05+00:00", "pi4", "broken,", "tiny", "2"],
        ["2", "v2\\x1b[31m", "2026-02-01T00:00:00+00:00", "pi4", "tiny", "1"],
    ]


def test_a_run_is_shown_as_it_was_printed(bench, filled):
    code, out, _ = bench("show", 1, "--store", filled)
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines() if line.startswith("pi4")][:2] == [
        ["pi4", "tiny"],
        ["pi4", "broken"],
    ]
    (first, second) = json.loads(bench("show", 1, "--format", "json", "--store", filled)[1])["cells"]
    assert (first, second["verdict"]) == (measurement().cell.as_json(), "failed")
    code, _, err = bench("show", 9, "--store", filled)
    assert (code, f"'{filled}' has no run 9 (bench store runs)" in err) == (2, True)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_export_and_import(bench, filled, tmp_path, suffix):
    path, target = tmp_path / f"all.{suffix}", tmp_path / "target.db"
    assert bench("export", path, "--store", filled, "--quiet") == (0, f"{path}: 3 measurements\n", "")
    assert "3 measurements added, 0 were there already" in bench("import", path, "--store", target)[1]
    assert "0 measurements added, 3 were there already" in bench("import", path, "--store", target)[1]
    assert bench("runs", "--store", target)[1] == bench("runs", "--store", filled)[1]


def test_what_is_wrong_is_one_line(bench, filled, tmp_path):
    (tmp_path / "bad.jsonl").write_text("{}\n")
    for argv, message in (
        (("runs", "--store", tmp_path / "none.db"), "there is no results database"),
        (("export", "all.xlsx", "--store", filled), "unknown suffix '.xlsx'"),
        (("import", tmp_path / "bad.jsonl", "--store", filled), "bad.jsonl: line 1: it is cut off or is no"),
        (("import", tmp_path / "none.jsonl", "--store", filled), "No such file"),
    ):
        code, out, err = bench(*argv, *(["--quiet"] if argv[0] != "runs" else []))
        assert (code, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1
    assert not (tmp_path / "none.db").exists()
