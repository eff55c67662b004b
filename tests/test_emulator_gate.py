"""The workflow of docs/ci.md, tried by running its steps that are ours in a folder of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOW = ROOT / "docs" / "emulator-gate.yml"
FEWER = " --samples 10 --variants f32"  # what makes the measurement short enough for a test


def steps() -> dict[str, str]:
    """Name → shell text of the steps that call bench."""
    (job,) = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
    return {step["name"]: step["run"] for step in job["steps"] if "bench" in step.get("run", "")}


def run(text: str, folder: Path) -> subprocess.CompletedProcess:
    """As GitHub does: `bash -e`."""
    bench = folder / "bin" / "bench"
    bench.parent.mkdir(exist_ok=True)
    bench.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m harness.cli "$@"\n')
    bench.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{bench.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    return subprocess.run(
        ["bash", "-e", "-c", text], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )


def try_workflow(folder: Path, measure: str) -> None:
    """The gate is open for the same sources, and closed where BASE needed 5 % fewer instructions."""
    report, gate = steps()["Report"], steps()["Gate"]
    measured = run(measure, folder)
    assert measured.returncode == 0, measured.stderr
    baseline = folder / "results" / "baseline.json"
    baseline.parent.mkdir(exist_ok=True)
    document = json.loads((folder / "new.json").read_text())
    if document["cells"][0]["instructions"] is None:
        pytest.skip("needs a QEMU that counts instructions")
    baseline.write_text(json.dumps(document))
    assert run(report, folder).returncode == 0
    assert run(gate, folder).returncode == 0
    assert "no change" in (folder / "summary.md").read_text()
    assert (folder / "gate.xml").read_text().startswith("<?xml")
    for cell in document["cells"]:
        cell["instructions"] = int(cell["instructions"] / 1.05)
    baseline.write_text(json.dumps(document))
    closed = run(gate, folder)
    assert closed.returncode == 1
    assert closed.stdout.startswith("::error title=qemu solar_cells")


def test_the_steps_of_the_workflow(tmp_path):
    measure = steps()["Measure"]
    assert "--model solar_cells" in measure
    try_workflow(tmp_path, measure.replace("--model solar_cells", "--model solar_cells" + FEWER))


@pytest.mark.slow
def test_the_steps_as_they_are(tmp_path):
    try_workflow(tmp_path, steps()["Measure"])


def test_the_committed_baseline_is_what_the_gate_reads():
    """Its counts are the release's affair; it must have every figure of the gate, of every variant."""
    cells = json.loads((ROOT / "results" / "baseline.json").read_text())["cells"]
    assert {cell["variant"] for cell in cells} >= {"f32", "hybrid", "int8"}
    for cell in cells:
        assert (cell["device"], cell["model"], cell["verdict"]) == ("qemu", "solar_cells", "valid")
        assert cell["instructions"] > 1e6
        assert cell["samples"] == 654
        assert cell["size_bytes"] > 1e5


def test_the_documented_command_makes_what_the_workflow_measures():
    """docs/ci.md tells how the baseline is made: the same command, into another file."""
    documented = (
        steps()["Measure"].strip().replace("--quiet ", "").replace("new.json", "results/baseline.json")
    )
    assert documented in (ROOT / "docs" / "ci.md").read_text()
