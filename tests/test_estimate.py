"""What a dry run says: every cell that would be measured, and how long each takes."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from devices import DeviceInfo
from harness import estimate
from harness.cli import main
from harness.errors import UsageError
from harness.estimate import latency_seconds, plan
from harness.exporters import tflite
from harness.pipeline import Request
from harness.results import Cell, Latency, Measurement, RunRecord
from harness.store import Store
from harness.trial import DEFAULT, QUICK
from tests.support.graphs import small_network

CELL = Cell("board", "aarch64", "cortex-a72", False, 3, "small", "int8", "int8-ptq", size_bytes=1234)


def info(name: str) -> DeviceInfo:
    return DeviceInfo(name, "fake", "aarch64", "cortex-a72", emulated=name == "emulated")


@pytest.fixture
def request_for(tmp_path, monkeypatch):
    monkeypatch.setattr(
        estimate.devices,
        "open_device",
        lambda name: SimpleNamespace(info=lambda: info(name), close=lambda: None),
    )
    path = tmp_path / "small.tflite"
    path.write_bytes(tflite.write(small_network()))
    return lambda *names, **changes: Request(
        **{"devices": names, "models": (str(path),), "variants": ("f32", "int8")} | changes
    )


def add(store: Store, ms: float | None, variant: str = "int8") -> None:
    latency = None if ms is None else Latency(ms, None, ms, 0.0, 20, None, ms)
    measurement = Measurement(replace(CELL, variant=variant, latency_ms=latency), info("board"))
    store.new_run(RunRecord("2026", "0.1", "x")).add(measurement)


def test_cells_in_the_order_of_the_run(request_for):
    planned = list(plan(request_for("board", "emulated"), None))
    assert [(p.device, p.model, p.variant) for p in planned] == [
        (device, "small", variant) for device in ("board", "emulated") for variant in ("f32", "int8")
    ]
    assert [p.seconds for p in planned] == [11.5, 11.5, 2.5, 2.5]
    assert {p.processes for p in planned} == {3}


def test_times_of_earlier_cells(request_for, tmp_path):
    with Store.open(tmp_path / "results.db") as store:
        for ms in (7000.0, 1000.0, None):
            add(store, ms)
        f32, int8 = plan(request_for("board"), store)
    assert f32.earlier is None
    assert int8.earlier.size_bytes == 1234
    assert int8.seconds == 3 * (3 + 1) + 120 + 10, "the newest with a latency; the cap; the profile"


def test_a_latency_trial_ends_at_its_minimums_or_its_cap():
    assert latency_seconds(DEFAULT, 0.0) == 3 * 0.5 + 10
    assert latency_seconds(DEFAULT, 0.5) == 3 * (1.5 + 0.5) + 64
    assert latency_seconds(DEFAULT, 60.0) == 3 * (180 + 60) + 120
    assert latency_seconds(replace(QUICK, processes=20), 0.0) == 20 * 0.5 + 1


def test_bad_input_is_found(request_for):
    with pytest.raises(UsageError, match="f23"):
        list(plan(request_for("board", variants=("f23",)), None))
    with pytest.raises(UsageError, match="nowhere"):
        list(plan(request_for("board", models=("nowhere",)), None))


def test_the_command_measures_and_stores_nothing(request_for, tmp_path, capsys):
    model, path = str(tmp_path / "small.tflite"), tmp_path / "results.db"
    argv = [
        "--device",
        "board",
        "--model",
        model,
        "--variants",
        "f32,int8",
        "--store",
        str(path),
        "--dry-run",
    ]
    assert main([*argv, "--release", "v2"]) == 0
    shown = capsys.readouterr().out
    assert "2 cells, 6 timed processes, at least 0:23" in shown
    assert f"release: v2; store: {path}" in shown
    assert not path.exists()
    with Store.open(path) as store:
        add(store, 10.0, "f32")
        add(store, 10.0, "int8")
    assert main([*argv, "--release", "v2"]) == 0
    shown = capsys.readouterr().out
    assert "2 cells, 6 timed processes, 0:24" in shown
    assert "1234  about 0:12" in shown
    assert main([*argv, "--release", " "]) == 2
