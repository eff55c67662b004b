"""`bench compare` and `bench history` from the command line, on releases with a known difference."""

from __future__ import annotations

import dataclasses
import json
import time

import numpy as np
import pytest

from harness import build, pipeline
from harness.cli import main
from harness.exporters import tflite
from harness.results import LatencySample
from harness.store import Store
from harness.trial import LENGTHS, TrialSettings
from tests.support.graphs import small_network
from tests.support.releases import add, measurement

SLOW_KERNELS = "-O0"
SHORT = TrialSettings("short", min_runs=20, min_ms=100, max_ms=20_000, processes=10, warmup_ms=1)


@pytest.fixture
def url(tmp_path):
    return str(tmp_path / "results.db")


def stored(url, **releases):
    with Store.open(url) as store:
        for name, made in releases.items():
            add(store, name, *(made if isinstance(made, list) else [made]))


def test_the_gate_is_closed_by_a_confirmed_regression_only(url, capsys):
    stored(url, a=measurement(10, instructions=100), b=measurement(10, instructions=150), c=measurement(12))
    gate = ["--gate", "--store", url]
    assert main(["compare", "a", "b", *gate]) == 1
    assert main(["compare", "a", "b", "--store", url]) == 0
    assert main(["compare", "a", "b", "--threshold", "60", *gate]) == 0
    assert main(["compare", "a", "c", *gate]) == 0, "suspected, not confirmed"
    assert "1 suspected" in capsys.readouterr().out.splitlines()[-1]


def test_output_to_a_file(url, tmp_path):
    stored(url, a=measurement(10), b=measurement(10))
    out = tmp_path / "gate.xml"
    assert main(["compare", "a", "b", "--store", url, "--format", "junit", "--out", str(out)]) == 0
    assert out.read_text().startswith("<?xml")


def test_files_need_no_database(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, count in (("base", 1000), ("new", 1100)):
        cells = [measurement(None, instructions=count).cell.as_json()]
        (tmp_path / f"{name}.json").write_text(json.dumps({"schema": 1, "cells": cells}))
    assert main(["compare", "base.json", "base.json", "--gate"]) == 0
    assert main(["compare", "base.json", "new.json", "--gate"]) == 1
    assert not (tmp_path / "results").exists()


def test_a_database_that_is_not_there_is_not_made(tmp_path, capsys):
    assert main(["compare", "a", "b", "--store", str(tmp_path / "none.db")]) == 2
    assert "no results database" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_confirming_needs_the_files_on_the_device(url, capsys):
    changes = {"info": dataclasses.replace(measurement().info, name="local", arch=build.host_arch())}
    stored(url, a=measurement(10, **changes), b=measurement(12, **changes))
    assert main(["compare", "a", "b", "--confirm", "--store", url]) == 2
    assert "does not have the files of release 'a' any more" in capsys.readouterr().err


def test_history_marks_the_release_that_changed_the_level(url, capsys):
    stored(url, **{f"v{i}": measurement(10 if i < 5 else 13, count=3, seed=i) for i in range(8)})
    assert main(["history", "--device", "pi4", "--model", "net", "--store", url]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "pi4 net int8"
    assert [line.split()[0] for line in out if "since" in line] == ["v5"]
    assert main(["history", "--device", "pi4", "--model", "nat", "--store", url]) == 2


# --- a slower kernel ---


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "small.tflite"
    path.write_bytes(tflite.write(small_network()))
    return str(path)


def measure(release, model, url, device, settings=SHORT):
    request = pipeline.Request((device,), (model,), ("f32",), settings=settings, store=url, release=release)
    return pipeline.run(request, lambda what, done, total: None, lambda text: None)


def test_a_slower_kernel_is_caught_by_instruction_counts(url, model, monkeypatch, capsys):
    measure("base", model, url, "qemu")
    measure("same", model, url, "qemu")
    monkeypatch.setattr(build, "FLAGS", [*build.FLAGS, SLOW_KERNELS])
    outcome = measure("slow", model, url, "qemu")
    if outcome.cells[0].instructions is None:
        pytest.skip("needs a QEMU that counts instructions")
    assert main(["compare", "base", "same", "--gate", "--store", url]) == 0
    assert main(["compare", "base", "slow", "--gate", "--store", url]) == 1
    assert "instructions" in next(
        line for line in capsys.readouterr().out.splitlines() if "regressed" in line
    )


def test_a_slower_kernel_is_caught_by_latency_after_a_second_look(url, model, monkeypatch, capsys):
    monkeypatch.setitem(LENGTHS, SHORT.name, SHORT)
    measure("base", model, url, "local")
    with monkeypatch.context() as slower:
        slower.setattr(build, "FLAGS", [*build.FLAGS, SLOW_KERNELS])
        measure("slow", model, url, "local")
    assert main(["compare", "base", "slow", "--gate", "--confirm", "--store", url, "--format", "json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    (latency,) = [f for f in findings if f["metric"] == "latency_median_ms"]
    assert (latency["verdict"], latency["confirmed"]) == ("regressed", True)
    with Store.open(url) as store:
        turns = [run for run in store.runs().values() if "interleaved" in run.settings]
        assert {run.release for run in turns} == {"base", "slow"}
        assert len({run.settings["interleaved"] for run in turns}) == 1


@pytest.mark.slow
def test_the_gate_is_silent_at_the_default_length(url, monkeypatch):
    settings = dataclasses.replace(LENGTHS["default"], processes=20)
    for release in ("a", "b"):
        measure(release, "solar_cells", url, "local", settings)
    assert main(["compare", "a", "b", "--gate", "--confirm", "--store", url]) == 0


# --- a large database ---


def test_a_million_samples_are_compared_within_two_seconds(url, capsys):
    """100 releases, 10 cells each, 20 processes of 50 runs."""
    variants = [f"v{i}" for i in range(10)]
    with Store.open(url) as store:
        made = [measurement(10, variant=v) for v in variants]
        rng = np.random.default_rng(0)
        for release in range(100):
            noisy = [
                dataclasses.replace(
                    m, processes=[with_runs(p, rng.normal(1e7, 1e5, 50)) for p in m.processes]
                )
                for m in made
            ]
            add(store, f"r{release}", *noisy)
    for argv in (["compare", "r98", "r99"], ["history", "--device", "pi4", "--model", "net"]):
        start = time.monotonic()
        assert main([*argv, "--store", url]) == 0
        assert time.monotonic() - start < 2, argv


def with_runs(process: LatencySample, ns: np.ndarray) -> LatencySample:
    return dataclasses.replace(process, ns=ns.astype(np.int64))
