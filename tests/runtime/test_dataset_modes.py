"""The runner's modes that go through a data set, and data set files that are not right."""

from __future__ import annotations

import numpy as np
import pytest

from harness import pack
from harness.graph import Graph, Node, Quantization, Tensor
from harness.ops import infer_shapes, run_reference
from tests.support import runner
from tests.support.graphs import Builder
from tests.support.runner_files import WINDOWS, dataset_bytes, float_graph, pixels


def int8_graph() -> Graph:
    """The same pool alone, on int8 values of scale 0.5 and zero point 3."""
    graph = Graph("small_int8", inputs=["x"], outputs=["y"])
    for name in ("x", "y"):
        graph.tensors[name] = Tensor(name, (1, 4, 4, 2), np.dtype(np.int8), None, Quantization(0.5, 3))
    graph.nodes.append(Node("MaxPool2D", "pool", ["x"], ["y"], dict(WINDOWS)))
    return infer_shapes(graph.verify())


def scores_of(samples: np.ndarray) -> np.ndarray:
    """Float scores of pixels brought to (p − 128) / 64, by the NumPy references; (n, 8)."""
    graph = float_graph()
    inputs = (samples.astype(np.float32) - 128) * np.float32(1 / 64)
    return np.concatenate([run_reference(graph, {"x": x[None]})[graph.outputs[0]] for x in inputs])


def test_accuracy(model, data):
    expected = scores_of(pixels(150))
    order = np.argsort(-expected, axis=1, kind="stable")[:, :3]
    events = runner.run("accuracy", "--model", model, "--data", data, "--top", 3).named("top")
    assert [(e["first"], len(e["classes"])) for e in events] == [(0, 64), (64, 64), (128, 22)]
    classes = np.array([row for e in events for row in e["classes"]])
    scores = np.array([row for e in events for row in e["scores"]])
    assert np.array_equal(classes, order)
    assert np.allclose(scores, np.take_along_axis(expected, order, 1), atol=1e-6)


def test_reconstruction_is_scored_by_its_mean_squared_error(tmp_path):
    b = Builder("half")
    graph = b.build(b.node("Mul", b.input((1, 6)), b.const(np.float32(0.5))))
    pack.write(graph, tmp_path / "m.qbm")
    samples = np.random.default_rng(0).integers(0, 255, (70, 6), np.uint8)
    (tmp_path / "d.qbd").write_bytes(dataset_bytes(samples, (2.0,), (3.0,)))
    arguments = ("--model", tmp_path / "m.qbm", "--data", tmp_path / "d.qbd", "--score", "reconstruction")
    events = runner.run("accuracy", *arguments).named("top")
    reals = (samples.astype(np.float32) - 3) * 2
    assert [row for e in events for row in e["classes"]] == [[0]] * 70
    found = [score for e in events for (score,) in e["scores"]]
    assert found == pytest.approx(np.mean(np.square(reals / 2), axis=1), rel=1e-6)


def test_what_does_not_repeat_its_input_has_no_reconstruction(model, data):
    outcome = runner.run("accuracy", "--model", model, "--data", data, "--score", "reconstruction")
    assert "gives 8 values for 32" in outcome.error
    outcome = runner.run("accuracy", "--model", model, "--data", data, "--score", "best")
    assert "use top or reconstruction" in outcome.error


def test_ties_go_to_the_lower_class(model, tmp_path):
    path = tmp_path / "grey.qbd"
    path.write_bytes(dataset_bytes(np.full((1, 4, 4, 2), 7, np.uint8)))
    (event,) = runner.run("accuracy", "--model", model, "--data", path).named("top")
    assert event["classes"] == [[0, 1, 2, 3, 4]]


def test_a_part_of_the_samples(model, data):
    part = ("--first", 100, "--count", 10)
    (event,) = runner.run("accuracy", "--model", model, "--data", data, *part).named("top")
    assert (event["first"], len(event["classes"])) == (100, 10)
    for arguments in (("--first", 150), ("--first", 1, "--count", 150)):
        outcome = runner.run("accuracy", "--model", model, "--data", data, *arguments)
        assert outcome.exit_code == 2
        assert "holds 150 samples" in outcome.error


def test_int8_inputs_are_quantized_half_away_from_zero(tmp_path):
    graph = int8_graph()
    values = np.array([[-0.75, -0.25, 0.25, 0.75, 1e30, -1e30, 62.0, 62.3] * 4], np.float32).reshape(
        1, 4, 4, 2
    )
    pack.write(graph, tmp_path / "m.qbm")
    (tmp_path / "d.qbd").write_bytes(dataset_bytes(values))
    arguments = ("--model", tmp_path / "m.qbm", "--data", tmp_path / "d.qbd", "--top", 8)
    (event,) = runner.run("accuracy", *arguments).named("top")
    quantized = graph.tensors["x"].quant.quantize(values, np.dtype(np.int8))
    pooled = quantized.reshape(2, 2, 2, 2, 2).max(axis=(1, 3)).ravel()
    expected = (np.sort(pooled.astype(np.float32))[::-1] - 3) * 0.5
    assert event["scores"] == [expected.tolist()]


def test_calibrate(model, data):
    events = runner.run("calibrate", "--model", model, "--data", data, "--count", 4).named("range")
    graph = float_graph()
    names = [*graph.inputs, *(name for node in graph.nodes for name in node.outputs)]
    inputs = (pixels(150)[:4].astype(np.float32) - 128) * np.float32(1 / 64)
    for index, (event, x) in enumerate(zip(events, inputs, strict=True)):
        values = run_reference(graph, {"x": x[None]}, names)
        assert event["sample"] == index
        assert event["tensors"] == [0, 1, 2, 3, 4]
        assert np.allclose(event["min"], [values[n].min() for n in names], atol=1e-6)
        assert np.allclose(event["max"], [values[n].max() for n in names], atol=1e-6)


def test_observe(model, data, tmp_path):
    graph = float_graph()
    names = [*graph.inputs, *(name for node in graph.nodes for name in node.outputs)]
    inputs = (pixels(150)[:4].astype(np.float32) - 128) * np.float32(1 / 64)
    values = run_reference(graph, {"x": inputs[:1]}, names)[names[1]]
    table = runner.run("calibrate", "--model", model, "--data", data, "--count", 1).named("range")[0]
    wide = np.resize(np.float32([1, 0]), (max(table["tensors"]) + 32, 2))  # low > high: not observed
    wide[table["tensors"][1]] = -1.0, 1.0
    ranges, output = tmp_path / "ranges.bin", tmp_path / "observed.bin"
    wide.tofile(ranges)
    argv = ["--model", model, "--data", data, "--count", 1, "--ranges", ranges, "--bins", 8]
    assert runner.run("observe", *argv, "--output", output).exit_code == 0
    counts = np.fromfile(output, "<u8", 8)
    channels = np.fromfile(output, "<f8", offset=64).reshape(3, values.shape[-1])
    rows = values.reshape(-1, values.shape[-1]).astype(np.float64)
    expected = np.histogram(np.clip(rows, -1, 1), 8, (-1, 1))[0]
    assert counts.sum() == rows.size
    assert np.abs(counts.astype(int) - expected).sum() <= 2
    exact = [rows.min(0), rows.max(0), rows.sum(0)]
    np.testing.assert_allclose(channels, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("content", "bins", "message"),
    [(b"1234", 8, "does not hold"), (bytes(800), 0, "--bins takes 1 to 65536")],
)
def test_observe_refuses_what_it_cannot_use(model, data, tmp_path, content, bins, message):
    (tmp_path / "ranges.bin").write_bytes(content)
    argv = ["--ranges", tmp_path / "ranges.bin", "--bins", bins, "--output", tmp_path / "out.bin"]
    outcome = runner.run("observe", "--model", model, "--data", data, *argv)
    assert outcome.exit_code == 2
    assert message in outcome.error
    assert not list(tmp_path.glob("out.bin*"))


def test_values_that_are_not_finite_are_an_error(model, tmp_path):
    path = tmp_path / "nan.qbd"
    path.write_bytes(dataset_bytes(np.full((1, 4, 4, 2), np.nan, np.float32)))
    for mode in ("accuracy", "calibrate"):
        outcome = runner.run(mode, "--model", model, "--data", path)
        assert outcome.exit_code == 2
        assert "not finite" in outcome.error


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"version": 9}, "format version 9"),
        ({"file_size": 1}, "should have 1"),
        ({"channels": 3}, "checksum"),
        ({"channels": 2**31}, "outside the file"),
        ({"dims": (4, 4, 3, 1, 1, 1)}, "150 samples"),
        ({"dims": (4, 4, 2, 2, 1, 1)}, "impossible"),
        ({"dims": (2**30, 2**30, 2, 1, 1, 1)}, "impossible"),
        ({"rank": 7}, "impossible"),
        ({"dtype": 77}, "impossible"),
        ({"count": 151}, "151 samples"),
        ({"count": 2**63}, "samples"),
        ({"data_offset": 2**63}, "outside the file"),
        ({"data_offset": 0}, "outside the file"),
        ({"data_crc32": 0}, "checksum"),
    ],
)
def test_hostile_datasets(changes, complaint, model, tmp_path):
    path = tmp_path / "hostile.qbd"
    path.write_bytes(dataset_bytes(pixels(150), **changes))
    outcome = runner.run("accuracy", "--model", model, "--data", path, sanitized=True)
    assert outcome.exit_code == 2
    assert complaint in outcome.error
    assert "hostile.qbd" in outcome.error


def test_a_dataset_without_channels(model, tmp_path):
    path = tmp_path / "none.qbd"
    path.write_bytes(dataset_bytes(pixels(1), (), ()))
    assert "channels" in runner.run("accuracy", "--model", model, "--data", path).error


def test_every_cut_of_a_dataset_is_refused(model, tmp_path):
    content = dataset_bytes(pixels(2))
    path = tmp_path / "cut.qbd"
    for cut in range(0, len(content), 5):
        path.write_bytes(content[:cut])
        assert runner.run("accuracy", "--model", model, "--data", path, sanitized=True).exit_code == 2


def test_a_dataset_of_another_shape(model, tmp_path):
    path = tmp_path / "large.qbd"
    path.write_bytes(dataset_bytes(np.zeros((1, 5, 5, 2), np.uint8)))
    outcome = runner.run("accuracy", "--model", model, "--data", path)
    assert "a sample has 50 values but the model's input 'x' takes 32" in outcome.error
