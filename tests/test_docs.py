"""The documentation cannot rot: links lead somewhere, and every command in it is one the program takes."""

from __future__ import annotations

import ast
import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness import trial
from harness.cli import _with_command, main, parser
from harness.exporters import tflite
from tests.conftest import ROOT
from tests.support.graphs import small_network

PAGES = sorted(
    [ROOT / "README.md", *ROOT.glob("docs/*.md"), ROOT / "models" / "README.md", *ROOT.glob("runtime/*.md")]
)
COMMAND = re.compile(r"^(?:    |\$ )?(bench(?: .*|))$", re.M)


def commands_of(page: Path) -> list[str]:
    """The `bench …` lines of a page's code blocks, continued lines joined, without comments."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.M | re.S)
    indented = re.findall(r"^    bench .*$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return [line.split("  #")[0].strip() for line in COMMAND.findall("\n".join([*blocks, *indented]))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_ones_that_the_program_takes(page):
    for command in commands_of(page):
        if "…" not in command:
            parser().parse_args(_with_command(shlex.split(command)[1:]))


@pytest.fixture
def beginners_folder(tmp_path, monkeypatch):
    """A folder with the files that the README's examples name."""
    (tmp_path / "net.tflite").write_bytes(tflite.write(small_network()))
    np.save(tmp_path / "x.npy", np.zeros((1, 9, 9, 3), np.float32))
    rng = np.random.default_rng(0)
    for label in range(5):
        folder = tmp_path / "photos" / str(label)
        folder.mkdir(parents=True)
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8)).save(folder / "1.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(trial.LENGTHS, "default", trial.QUICK)
    return tmp_path


def test_the_readmes_examples_run(beginners_folder, capsys):
    run = [c for c in commands_of(ROOT / "README.md") if "net.tflite" in c]
    assert len(run) == 3
    for command in run:
        argv = shlex.split(command.replace("resize=224", "resize=9"))[1:]
        assert main([*argv, "--quiet"]) == 0, command
    assert "top-1" in capsys.readouterr().out
    assert np.load(beginners_folder / "y.npy").shape == (1, 5)


def test_tables_are_the_committed_results():
    """`python scripts/results.py --write` writes them anew."""
    script = runpy.run_path(str(ROOT / "scripts" / "results.py"))
    shown = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert script["written"](text) == text, page.name
        shown |= {found[2] for found in script["BLOCK"].finditer(text)}
    assert shown == {f"results/{name}.json" for name in script["RUNS"]}


FAULTS = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([^`\s]+\.py::\w+)`", FAULTS))))
def test_tests_of_faults_exist(name):
    path, _, function = name.partition("::")
    defined = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8")).body
    assert function in {node.name for node in defined if isinstance(node, ast.FunctionDef)}


def test_every_fault_has_a_test():
    rows = re.findall(r"^\| (.*?) \| (.*) \|$", FAULTS, re.M)[2:]
    assert all("::test_" in tests for _, tests in rows)
    matrix = ROOT.parent / "shared" / "faults.md"
    if not matrix.is_file():
        pytest.skip("needs the matrix of faults beside the repository")
    wanted = re.findall(r"^\| (.*?) \|", matrix.read_text(encoding="utf-8"), re.M)[2:]
    assert [fault for fault, _ in rows] == wanted
