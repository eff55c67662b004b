"""Anomaly detection: scores of the device against those of LiteRT, and what becomes of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from scipy.stats import norm

from harness.cli import main
from harness.errors import UsageError
from harness.prepare import open_dataset
from harness.sources import open_source
from harness.stats import auc, auc_interval
from harness.store import Store

COUNT, FEATURES = 24, 640


@pytest.fixture
def folder(tmp_path):
    """Windows of log-mel energies: smooth ones, and every third with a stretch of noise, label 1."""
    rng = np.random.default_rng(3)
    samples, lines = tmp_path / "toy", ["file,label"]
    samples.mkdir()
    for index in range(COUNT):
        label = int(index % 3 == 0)
        window = -20 + 8 * np.sin(np.arange(FEATURES) / 40 + index) + rng.normal(0, 1, FEATURES)
        window[100:300] += label * rng.normal(0, 6, 200)
        window.astype("<f4").tofile(samples / f"{index:02}.bin")
        lines.append(f"{index:02}.bin,{label}")
    (samples / "labels.csv").write_text("\n".join(lines))
    return samples


def litert_scores(model, folder):
    """Mean squared difference of the dequantized output and the real input, by TFLite's reference kernels."""
    interpreter = Interpreter(str(model), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    scores = []
    for path in sorted(folder.glob("*.bin")):
        window = np.fromfile(path, "<f4")
        interpreter.set_tensor(source["index"], quantized(window, source)[None])
        interpreter.invoke()
        repeated = real(interpreter.get_tensor(result["index"])[0], result)
        scores.append(np.mean(np.square(repeated.astype(np.float64) - window)))
    return np.array(scores)


def quantized(values, detail):
    if detail["dtype"] == np.float32:
        return values
    scale, zero_point = detail["quantization"]
    scaled = values / np.float32(scale)
    return np.clip(np.trunc(scaled + np.copysign(0.5, scaled)) + zero_point, -128, 127).astype(np.int8)


def real(values, detail):
    if detail["dtype"] == np.float32:
        return values
    scale, zero_point = detail["quantization"]
    return (values.astype(np.float32) - zero_point) * np.float32(scale)


@pytest.mark.parametrize(("file", "variant", "tolerance"), [("fp32", "f32", 1e-5), ("int8", "int8", 1e-6)])
def test_scores_and_their_auc_are_those_of_litert(lab, folder, tmp_path, capsys, file, variant, tolerance):
    weights = lab / "models" / f"ad01_{file}.tflite"
    store = tmp_path / "results.db"
    arguments = ["--device", "local", "--model", "ad", "--weights", weights, "--dataset", folder]
    arguments += ["--variants", variant, "--quick", "--processes", 1, "--format", "json", "--store", store]
    assert main(["run", "--quiet", *map(str, arguments)]) in (0, 1)
    (cell,) = json.loads(capsys.readouterr().out)["cells"]
    expected = litert_scores(weights, folder)
    with Store.open(str(store)) as opened:
        dataset, predictions = opened.predictions(1)
        assert opened.cells(1)[1].auc == cell["auc"]
    assert predictions.scores[:, 0] == pytest.approx(expected, rel=tolerance)
    assert cell["auc"] == auc(expected, dataset.labels == 1)
    assert (cell["samples"], cell["positives"]) == (COUNT, COUNT // 3)
    assert cell["auc_ci95"][0] <= cell["auc"] <= cell["auc_ci95"][1]
    assert (cell["top1"], cell["top5"]) == (None, None)


def test_a_chance_of_one_half_where_scores_say_nothing():
    labels = np.array([True, False, False, True])
    assert auc(np.ones(4), labels) == 0.5
    assert auc(np.array([3, 1, 2, 4]), labels) == 1
    assert auc(np.array([1, 1, 2, 2]), labels) == 0.5
    assert auc(np.array([1, 3, 2, 2]), labels) == 1 / 8


def test_auc_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 9, 60), rng.random(60) < 0.3
    pairs = scores[positive][:, None] - scores[~positive][None]
    assert auc(scores, positive) == pytest.approx(np.mean((pairs > 0) + 0.5 * (pairs == 0)))


@pytest.mark.parametrize(("area", "positives", "negatives"), [(0.9, 100, 100), (0.5, 3, 40), (1.0, 8, 16)])
def test_the_ends_of_the_interval_are_areas_from_which_the_measured_one_is_196_standard_errors(
    area, positives, negatives
):
    """By the formula as Hanley and McNeil print it, with the mean number of samples for either kind's."""
    low, high = auc_interval(area, positives, negatives)
    assert 0 < low < area <= high <= 1
    each = (positives + negatives) / 2
    for end in {low, high} - {1.0}:
        q1, q2 = end / (2 - end), 2 * end**2 / (1 + end)
        variance = end * (1 - end) + (each - 1) * (q1 - end**2) + (each - 1) * (q2 - end**2)
        assert abs(area - end) == pytest.approx(
            1.95996 * np.sqrt(variance / (positives * negatives)), rel=1e-4
        )
    mirrored = auc_interval(1 - area, positives, negatives)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-8)


@pytest.mark.parametrize(("apart", "positives", "negatives"), [(0.5, 20, 20), (2.5, 8, 16)])
def test_19_of_20_intervals_hold_the_true_area(apart, positives, negatives):
    """Scores of two normal distributions: the true area is Φ(distance / √2)."""
    rng = np.random.default_rng(1)
    positive = np.arange(positives + negatives) < positives
    true, held = norm.cdf(apart / np.sqrt(2)), 0
    for _ in range(400):
        low, high = auc_interval(auc(rng.normal(apart * positive), positive), positives, negatives)
        held += low <= true <= high
    assert 0.93 <= held / 400 <= 0.99


def test_pick_knows_no_drop_of_an_auc(lab, folder, tmp_path, capsys):
    weights = str(lab / "models" / "ad01_fp32.tflite")
    argv = ["pick", "--device", "local", "--model", "ad", "--weights", weights, "--dataset", str(folder)]
    assert main([*argv, "--quiet", "--variants", "f32", "--store", str(tmp_path / "results.db")]) == 2
    assert "model 'ad' is judged by its AUC" in capsys.readouterr().err


def test_samples_of_one_kind_are_refused(folder):
    table = folder / "labels.csv"
    table.write_text(table.read_text().replace(",1", ",0"))
    source = open_source("ad", "seeded")
    with pytest.raises(UsageError, match="an AUC takes samples of both kinds"):
        open_dataset(source, str(folder), None)


def test_a_label_other_than_normal_and_anomaly_is_refused(folder):
    table = folder / "labels.csv"
    table.write_text(table.read_text().replace(",1", ",2"))
    with pytest.raises(UsageError.__base__, match="has label 2, but the model has 2 classes"):
        open_dataset(open_source("ad", "seeded"), str(folder), None)
