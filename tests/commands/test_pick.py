"""`bench pick` from the command line, on real trials of a small network."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from harness import trial
from harness.cli import main
from harness.exporters import tflite
from harness.store import Store
from tests.support.graphs import small_network

SHORT = trial.TrialSettings("default", min_runs=30, min_ms=30, max_ms=20_000, warmup_ms=1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A network, and photographs of five classes."""
    folder = tmp_path_factory.mktemp("pick")
    (folder / "net.tflite").write_bytes(tflite.write(small_network()))
    rng = np.random.default_rng(0)
    for label in range(5):
        (folder / "photos" / str(label)).mkdir(parents=True)
        for i in range(8):
            pixels = rng.integers(0, 256, (9, 9, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / str(label) / f"{i}.png")
    return folder


@pytest.fixture
def pick(files, tmp_path, monkeypatch, capsys):
    """Runs the command; its exit code, standard output and standard error."""
    monkeypatch.setitem(trial.LENGTHS, "default", SHORT)

    def run(*options, device="local", variants="f32,int8", samples=True):
        argv = ["pick", "--device", device, "--model", str(files / "net.tflite"), "--variants", variants]
        argv += ["--store", str(tmp_path / "results.db"), "--quiet", "--release", "1.0"]
        if samples:
            argv += ["--dataset", str(files / "photos"), "--preprocess", "mean=127.5,std=127.5"]
        code = main([*argv, *options])
        return code, *capsys.readouterr()

    run.store = tmp_path / "results.db"
    return run


def document(outcome):
    return json.loads(outcome[1])


def test_what_is_there_is_reused_and_its_date_told(pick):
    code, out, _ = pick("--max-drop", "100")
    assert code == 0
    assert "f32, int8: measured now, run 1 of 20" in out
    _, out, _ = pick("--max-drop", "100")
    assert "f32, int8: reused, measured in run 1 of 20" in out


def test_on_a_real_device_what_is_missing_is_measured_in_turn_with_float(pick):
    pick()
    found = document(pick("--json", variants="f32,int8,hybrid"))
    runs = {c["variant"]: (c["trial"]["run_id"], c["trial"]["reused"]) for c in found["candidates"]}
    assert runs == {"f32": (2, False), "int8": (1, True), "hybrid": (2, False)}


def test_int8_made_by_other_steps_is_another_file_and_measured_anew(pick):
    pick()
    found = document(pick("--json", "--ptq", "observe(method=min_max)"))
    assert [c["trial"]["reused"] for c in found["candidates"]] == [False, False]
    before = document(pick("--json"))["candidates"][1]["trial"]
    assert (before["run_id"], before["reused"]) == (1, True)


def test_under_emulation_only_what_is_missing_is_measured(pick):
    pick(device="qemu", variants="f32")
    found = document(pick("--json", device="qemu", variants="f32,int8"))
    runs = {c["variant"]: (c["trial"]["run_id"], c["trial"]["reused"]) for c in found["candidates"]}
    assert runs == {"f32": (1, True), "int8": (2, False)}
    assert {c["cost"]["unit"] for c in found["candidates"]} == {"instructions"}
    code, _, err = pick("--budget-ms", "5", device="qemu")
    assert (code, "is emulated" in err) == (2, True)


def test_a_shorter_trial_than_asked_for_is_not_reused(pick):
    pick()
    found = document(pick("--json", "--processes", "4"))
    assert [c["trial"]["run_id"] for c in found["candidates"]] == [2, 2]


def test_without_accuracy_the_user_has_to_say_so(pick):
    code, _, err = pick(samples=False, variants="f32,hybrid")
    assert (code, "--cost-only" in err) == (2, True)
    assert not pick.store.exists() or not Store.open(pick.store).runs()
    code, out, _ = pick("--cost-only", "--max-mb", "1", samples=False, variants="f32,hybrid")
    assert (code, "any accuracy" in out) == (0, True)


def test_nothing_meets_the_constraints(pick):
    code, out, _ = pick("--max-mb", "0.0001", "--max-drop", "100")
    assert code == 1
    assert "No variant meets what was asked for: a drop of top-1 of at most 100 points" in out
    assert "over the limit of 0.0001" in out


@pytest.mark.parametrize("option", ["--max-drop", "--budget-ms", "--max-mb"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "much"])
def test_limits_are_numbers(option, value, capsys):
    with pytest.raises(SystemExit):
        main(["pick", "--device", "local", "--model", "solar_cells", f"{option}={value}"])
    assert "is not a number from 0 on" in capsys.readouterr().err


# --- every number is in the store ---


def recomputed(store, candidate, base):
    """The figures of a candidate from the raw rows of the database, by formulas of their own."""
    raw, float_raw = (store.measurement(c["trial"]["cell_id"]) for c in (candidate, base))
    right, float_right = (m.predictions.classes[:, 0] == m.dataset.labels for m in (raw, float_raw))
    lost, won = int((float_right & ~right).sum()), int((right & ~float_right).sum())
    p = min(1.0, 2 * stats.binom.cdf(min(lost, won), lost + won, 0.5)) if lost + won else 1.0
    medians = [[float(np.median(process.ns)) for process in m.processes] for m in (raw, float_raw)]
    logs = np.log(np.divide(*medians))
    return {
        "top1": right.mean(), "lost": lost, "won": won, "p": p,
        "drop": 100 * (float_right.mean() - right.mean()),
        "ratio": np.exp(logs.mean()),
        "interval": np.exp(stats.t.interval(0.95, 2, logs.mean(), stats.sem(logs))),
    }  # fmt: skip


def test_every_figure_comes_from_the_store(pick):
    found = document(pick("--json", "--max-drop", "100"))
    with Store.open(pick.store) as store:
        base, quantized = found["candidates"]
        expected = recomputed(store, quantized, base)
        stored = {cell.variant: cell for cell in store.cells(1).values()}
        (chosen,) = (c for c in found["candidates"] if c["variant"] == found["chosen"])
        layers = store.layers(chosen["trial"]["cell_id"])
    for name in ("top1", "lost", "won", "p", "drop"):
        assert quantized["accuracy"][name] == pytest.approx(expected[name]), name
    assert quantized["cost"]["ratio"] == pytest.approx(expected["ratio"])
    assert quantized["cost"]["interval"] == pytest.approx(expected["interval"])
    for candidate in (base, quantized):
        cell = stored[candidate["variant"]].as_json()
        assert candidate["cell"] == cell
        assert candidate["cost"]["value"] == cell["latency_ms"]["median"]
    whole = sum(np.median(layer.ns) for layer in layers)
    shares = {layer.name: f"{np.median(layer.ns) / whole:.0%}" for layer in layers}
    for reason in found["reasons"]:
        if reason["about"] == "layer":
            name, share = re.match(r"(.*) stays slow: (\S+) of the whole", reason["text"]).groups()
            assert shares[name] == share


# --- three scenarios on one set of trials, and the rig over SSH ---

TRAINED = Path(__file__).parent.parent / "golden" / "solar_cells_qat.tflite"
"""Written by `bench train --model solar_cells --epochs 2 --out FILE`."""


def test_three_scenarios_have_three_answers(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(trial.LENGTHS, "default", SHORT)

    def answer(*options):
        argv = ["pick", "--device", "local", "--model", "solar_cells", "--qat", str(TRAINED), "--json"]
        argv += ["--variants", "f32,int8-weights,hybrid,int8,qat", "--store", str(tmp_path / "results.db")]
        assert main([*argv, "--quiet", *options]) == 0
        return json.loads(capsys.readouterr().out)

    accurate = answer("--max-drop", "0")
    times = {c["variant"]: c["cost"]["value"] for c in accurate["candidates"]}
    fast = answer("--budget-ms", f"{times['int8']:.9f}", "--max-mb", "0.246")
    fixed = answer("--fixed-point")
    assert accurate["chosen"] not in ("int8", "qat"), "they have one sample of 654 less right"
    assert (fast["chosen"], fixed["chosen"]) == ("int8", "qat")
    assert {c["trial"]["run_id"] for found in (fast, fixed) for c in found["candidates"]} == {1}


def test_a_board_over_ssh(pick, shared_sshd, tmp_path, monkeypatch):
    settings = {"transport": "ssh", "host": "127.0.0.1", "port": shared_sshd.port, "user": shared_sshd.user}
    settings |= {"key": str(shared_sshd.user_key), "host_key": shared_sshd.host_key}
    settings |= {"folder": str(tmp_path / "work")}
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    (tmp_path / "devices.toml").write_text("\n".join(["[rig]", *lines]))
    monkeypatch.setenv("BENCH_DEVICES", str(tmp_path / "devices.toml"))
    found = document(pick("--json", "--max-drop", "100", device="rig"))
    assert found["device"] == "rig"
    assert found["chosen"] in ("f32", "int8")
    assert {c["cost"]["unit"] for c in found["candidates"]} == {"ms"}
