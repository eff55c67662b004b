"""The main job for real: a small network through passes, quantizers, the C runtime, trials and the store."""

from __future__ import annotations

import csv
import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from harness import pipeline
from harness.errors import DeviceError, UsageError
from harness.exporters import tflite
from harness.report.table import render
from harness.results import FAILED, VALID
from harness.store import RunWriter, Store
from harness.trial import TrialSettings
from tests.support.graphs import small_network

SHORT = TrialSettings("short", min_runs=6, min_ms=2, max_ms=10_000, processes=2, warmup_ms=1)
CLASSES = 5


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.tflite"
    path.write_bytes(tflite.write(small_network()))
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Ten random images in a folder with labels.csv."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "label"])
        for i in range(10):
            Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).save(folder / f"{i}.png")
            table.writerow([f"{i}.png", i % CLASSES])
    return folder


@pytest.fixture
def request_for(model, images, tmp_path):
    def make(*names, **changes):
        fields = {
            "devices": names,
            "models": (str(model),),
            "preprocess": "resize=9,mean=127.5,std=127.5",
            "dataset": str(images),
            "settings": SHORT,
            "store": str(tmp_path / "results.db"),
        }
        return pipeline.Request(**(fields | changes))

    return make


def run(request):
    notes = []
    return pipeline.run(request, lambda what, done, total: None, notes.append), notes


def test_every_variant_is_measured_on_every_device_and_stored(request_for, tmp_path):
    outcome, notes = run(request_for("local", "qemu"))
    assert [(c.device, c.variant) for c in outcome.cells] == [
        (device, variant) for device in ("local", "qemu") for variant in ("f32", "hybrid", "int8")
    ]
    for cell in outcome.cells:
        assert cell.verdict == VALID, cell.reasons
        assert cell.latency_ms.n >= SHORT.min_runs
        assert cell.samples == 10
        assert cell.emulated == (cell.device == "qemu")
        assert cell.instructions or cell.device == "local"  # which may forbid its counters
    assert "calibrated on samples that are evaluated too" in outcome.notes[0]
    assert [note.split(":")[:2] for note in notes if "runner" not in note] == [
        ["local", " small"],
        ["qemu", " small"],
    ]
    with Store.open(tmp_path / "results.db") as store:
        (run_id,) = store.runs()
        stored = store.cells(run_id)
        assert list(stored.values()) == outcome.cells
        for cell_id in stored:
            assert len(store.processes(cell_id)) == SHORT.processes
            assert [node.macs > 0 for node in store.layers(cell_id)].count(True) >= 2


def test_devices_agree_on_every_prediction(request_for, tmp_path):
    run(request_for("local", "qemu", "qemu-a76", "qemu-armv7", variants=("int8",)))
    with Store.open(tmp_path / "results.db") as store:
        (run_id,) = store.runs()
        found = [store.predictions(cell_id)[1] for cell_id in store.cells(run_id)]
    assert len(found) == 4
    for other in found[1:]:
        np.testing.assert_array_equal(found[0].classes, other.classes)
        assert found[0].scores.tobytes() == other.scores.tobytes()


def test_all_stages_of_int8_predict_the_same(request_for, tmp_path):
    outcome, _ = run(request_for("local", "qemu", variants=("int8-stage1", "int8-stage2", "int8")))
    assert [cell.arithmetic for cell in outcome.cells[:3]] == [
        "int8-ptq stage 1",
        "int8-ptq stage 2",
        "int8-ptq",
    ]
    assert {cell.verdict for cell in outcome.cells} == {VALID}
    with Store.open(tmp_path / "results.db") as store:
        (run_id,) = store.runs()
        found = [store.predictions(cell_id)[1] for cell_id in store.cells(run_id)]
    for other in found[1:]:
        np.testing.assert_array_equal(found[0].classes, other.classes)
        assert found[0].scores.tobytes() == other.scores.tobytes()
    counts = [cell.instructions for cell in outcome.cells if cell.emulated]
    assert counts == sorted(counts, reverse=True)
    header = render(outcome.cells, outcome.record, width=500).splitlines()[1]
    assert header.split("  ")[-3:] == ["int8-ptq stage 1", "int8-ptq stage 2", "int8-ptq"]


def test_without_a_dataset_accuracy_is_not_measured(request_for):
    outcome, _ = run(request_for("local", dataset=None, preprocess=None, variants=("f32", "hybrid")))
    assert [(c.verdict, c.top1, c.samples) for c in outcome.cells] == [(VALID, None, None)] * 2


def test_second_run_sends_nothing(request_for):
    run(request_for("local", variants=("f32",)))
    _, notes = run(request_for("local", variants=("f32",)))
    assert notes == ["local: small: 0 bytes sent"]


def test_files_sent_are_the_same_every_time(request_for):
    first, _ = run(request_for("local"))
    second, _ = run(request_for("local"))
    assert [c.model_sha256 for c in first.cells] == [c.model_sha256 for c in second.cells]
    assert [c.dataset_sha256 for c in first.cells] == [c.dataset_sha256 for c in second.cells]


def test_a_device_that_fails_half_way_keeps_what_was_measured(request_for, tmp_path, monkeypatch):
    from harness import measure

    trial = measure.accuracy_trial

    def fails_for_hybrid(device, runner, variant, *rest):
        if variant.name == "hybrid":
            raise DeviceError("connection lost")
        return trial(device, runner, variant, *rest)

    monkeypatch.setattr(measure, "accuracy_trial", fails_for_hybrid)
    outcome, _ = run(request_for("local"))
    assert [c.verdict for c in outcome.cells] == [VALID, FAILED, VALID]
    assert outcome.cells[1].reasons == ("connection lost",)
    with Store.open(tmp_path / "results.db") as store:
        (run_id,) = store.runs()
        assert [c.verdict for c in store.cells(run_id).values()] == [VALID, FAILED, VALID]


def test_two_models_of_one_name_are_refused(request_for, model, tmp_path):
    other = tmp_path / model.name
    other.write_bytes(model.read_bytes())
    with pytest.raises(UsageError, match="two of the models are called 'small'"):
        run(request_for("local", models=(str(model), str(other))))


@pytest.mark.parametrize(
    "changes", [{"dataset": "nowhere"}, {"variants": ("f23",)}, {"preprocess": "zoom=2"}]
)
def test_bad_input_is_found_before_anything_is_stored(request_for, tmp_path, changes):
    with pytest.raises(UsageError):
        run(request_for("local", **changes))
    assert not (tmp_path / "results.db").exists()


def test_a_broken_image_stops_the_run_by_name(request_for, images, tmp_path):
    folder = tmp_path / "damaged"
    folder.mkdir()
    for path in images.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    whole = (folder / "7.png").read_bytes()
    (folder / "7.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Exception, match="7.png") as caught:
        run(request_for("local", dataset=str(folder)))
    assert caught.value.exit_code == 2
    assert not (tmp_path / "results.db").exists()


# --- a controller that is killed ---


def test_a_resumed_run_measures_only_what_is_missing(request_for, tmp_path):
    """The run is cut off after its second cell, by an error that no step of it expects."""
    request = request_for("local")
    writes = iter([None, None, KeyboardInterrupt])
    add = RunWriter.add

    def cut_off(self, measurement):
        if (error := next(writes)) is not None:
            raise error
        return add(self, measurement)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunWriter, "add", cut_off)
        with pytest.raises(KeyboardInterrupt):
            run(request)
    outcome, notes = run(replace(request, resume=True))
    assert any("going on with the run of" in note and "2 cells are there already" in note for note in notes)
    assert [cell.variant for cell in outcome.cells] == ["f32", "hybrid", "int8"]
    with Store.open(request.store) as store:
        (run_id,) = store.runs()
        assert [cell.variant for cell in store.cells(run_id).values()] == ["f32", "hybrid", "int8"]
    again, notes = run(replace(request, resume=True))
    assert [cell.as_json() for cell in again.cells] == [cell.as_json() for cell in outcome.cells]
    assert not any("bytes sent" in note for note in notes), "nothing is left to do"


def test_there_may_be_nothing_to_resume(request_for):
    outcome, notes = run(request_for("local", resume=True, variants=("f32",)))
    assert len(outcome.cells) == 1
    assert any("a new one begins" in note for note in notes)


def _run_until_killed(request: pipeline.Request, journal: str) -> None:
    """Runs the suite again and again; writes a line for each cell that is committed."""
    add = RunWriter.add

    def add_and_tell(self, measurement):
        cell_id = add(self, measurement)
        with open(journal, "a") as file:
            print(cell_id, file=file)
        return cell_id

    RunWriter.add = add_and_tell
    while True:
        run(request)


@pytest.mark.parametrize("moments", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_a_suite_killed_at_random_moments_loses_no_committed_cell(request_for, tmp_path, moments):
    request = request_for("local", settings=replace(SHORT, min_runs=2, processes=1, warmup_ms=0))
    run(request)
    journal, random_moments = tmp_path / "journal", random.Random(moments)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    journal.touch()
    for moment in range(moments):
        killed = processes.Process(target=_run_until_killed, args=(request, str(journal)))
        before = journal.read_text()
        killed.start()
        while moment % 2 and journal.read_text() == before:  # every other time in the midst of the work
            assert killed.is_alive()
            time.sleep(0.01)
        time.sleep(random_moments.uniform(0, 0.7))
        os.kill(killed.pid, signal.SIGKILL)
        killed.join()
    committed = {int(line) for line in journal.read_text().split()}
    assert len(committed) >= moments // 2
    outcome, _ = run(request)
    assert FAILED not in {cell.verdict for cell in outcome.cells}, "the next run works"
    with Store.open(request.store) as store:
        stored = {cell_id for run_id in store.runs() for cell_id in store.cells(run_id)}
        assert committed <= stored
        assert len(stored) <= 6 + len(committed) + moments, "at most one each in flight"
        for cell_id in stored:
            assert len(store.measurement(cell_id).processes) == 1
