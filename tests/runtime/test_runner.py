"""The runner's modes, as runtime/RUNNER.md describes them."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from harness import pack
from harness.formats import align, constants, record
from harness.graph import Graph, Node, Quantization, Tensor
from harness.measure import SWITCHES_PER_S
from harness.ops import infer_shapes, run_reference
from tests.support import runner
from tests.support.graphs import Builder

WINDOWS = {"filter": (2, 2), "stride": (2, 2), "padding": "VALID"}
LATENCY = ("--min-runs", 5, "--min-ms", 0, "--max-ms", 60000, "--warmup-ms", 0)


def float_graph(name: str = "small") -> Graph:
    """(1, 4, 4, 2) → pool → relu → softmax over 8 classes."""
    b = Builder(name)
    pooled = b.node("MaxPool2D", b.input((1, 4, 4, 2)), name="pool", **WINDOWS)
    relu = b.node("Relu", pooled, name="relu")
    return b.build(b.node("Softmax", b.node("Reshape", relu, shape=(1, 8)), name="softmax"))


def int8_graph() -> Graph:
    """The same pool alone, on int8 values of scale 0.5 and zero point 3."""
    graph = Graph("small_int8", inputs=["x"], outputs=["y"])
    for name in ("x", "y"):
        graph.tensors[name] = Tensor(name, (1, 4, 4, 2), np.dtype(np.int8), None, Quantization(0.5, 3))
    graph.nodes.append(Node("MaxPool2D", "pool", ["x"], ["y"], dict(WINDOWS)))
    return infer_shapes(graph.verify())


@pytest.fixture
def model(tmp_path) -> Path:
    path = tmp_path / "small.qbm"
    pack.write(float_graph(), path)
    return path


def dataset_bytes(samples: np.ndarray, scale=(1.0,), offset=(0.0,), **changes: object) -> bytes:
    """A dataset file by format.def; `changes` are wrong header fields, covered by a right checksum."""
    data = samples.tobytes()
    affine = np.array([*scale, *offset], "<f4").tobytes()
    start = align(record("dataset_header").nbytes + len(affine))
    fields = {
        "magic": np.frombuffer(b"QBDATA\n\0", np.uint8),
        "version": constants()["DATASET_VERSION"],
        "header_size": record("dataset_header").nbytes,
        "file_size": start + len(data),
        "dtype": constants()[{"uint8": "U8", "int8": "S8", "float32": "F32"}[str(samples.dtype)]],
        "rank": samples.ndim - 1,
        "dims": (*samples.shape[1:], *[1] * (7 - samples.ndim)),
        "count": len(samples),
        "data_offset": start,
        "channels": len(scale),
        "data_crc32": zlib.crc32(data),
    }
    header = record("dataset_header", **(fields | changes))
    header["header_crc32"] = zlib.crc32(header.tobytes() + affine)
    return (header.tobytes() + affine).ljust(start, b"\0") + data


def pixels(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 2)).astype(np.uint8)


def scores_of(samples: np.ndarray) -> np.ndarray:
    """Float scores of pixels brought to (p − 128) / 64, by the NumPy references; (n, 8)."""
    graph = float_graph()
    inputs = (samples.astype(np.float32) - 128) * np.float32(1 / 64)
    return np.concatenate([run_reference(graph, {"x": x[None]})[graph.outputs[0]] for x in inputs])


@pytest.fixture
def data(tmp_path) -> Path:
    path = tmp_path / "pixels.qbd"
    path.write_bytes(dataset_bytes(pixels(150), (1 / 64,) * 2, (128.0,) * 2))
    return path


def test_info():
    outcome = runner.run("info", "--nonce", "abc123")
    start, info, end = outcome.events
    assert outcome.exit_code == 0
    assert [e["nonce"] for e in outcome.events] == ["abc123"] * 3
    assert (start["event"], start["mode"], end["status"]) == ("start", "info", "ok")
    assert info["arch"] == runner.HOST
    assert info["isas"][0] == "scalar"
    assert start["isa"] == info["isas"][-1]
    assert info["page_size"] >= 4096
    assert info["cores"] >= 1


def test_every_isa_can_be_forced():
    for isa in runner.run("info").named("info")[0]["isas"]:
        assert runner.run("info", isa=isa).events[0]["isa"] == isa


@pytest.mark.parametrize("mode", ["info", "repeat"])
def test_unknown_isa_is_an_error(mode, model):
    arguments = () if mode == "info" else ("--model", model, "--runs", 1)
    outcome = runner.run(mode, *arguments, isa="mmx")
    assert outcome.exit_code == 2
    assert "'mmx'" in outcome.error


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "mode"),
        (("fly",), "'fly'"),
        (("latency",), "needs --model"),
        (("predict", "--model", "m", "--input", "i"), "needs --output"),
        (("info", "--top", "5"), "'--top'"),
        (("info", "--nonce"), "needs a value"),
        (("info", "--nonce", "a b"), "letters and digits"),
        (("info", "--nonce", "a" * 65), "at most 64"),
        (("info", "--nonce", "a", "--nonce", "a"), "twice"),
        (("info", "--core", "fast"), "'fast'"),
        (("info", "--core", "-1"), "'-1'"),
        (("info", "--core", "1023"), "1023"),
        (("repeat", "--model", "m", "--runs", "-1"), "'-1'"),
        (("repeat", "--model", "m", "--runs", ""), "''"),
        (("repeat", "--model", "m", "--runs", "99999999999999999999"), "99999999999999999999"),
        (("repeat", "--model", "m", "--runs", "1x"), "'1x'"),
    ],
)
def test_bad_arguments(arguments, complaint):
    outcome = runner.run(*arguments)
    assert outcome.exit_code == 2
    assert complaint in outcome.error
    assert outcome.error in outcome.stderr


def test_start_describes_the_model(model):
    start = runner.run("repeat", "--model", model, "--runs", 0).events[0]
    assert (start["model"], start["file_bytes"]) == ("small", model.stat().st_size)
    assert start["arena_bytes"] >= 2 * 8 * 4
    assert start["core"] is None


def test_strange_names_are_escaped(tmp_path):
    name = 'quote" back\\slash \x01\x7f naïve 模型'
    path = tmp_path / "strange.qbm"
    pack.write(float_graph(name), path)
    assert runner.run("repeat", "--model", path, "--runs", 0).events[0]["model"] == name


def test_bytes_that_are_not_utf8_are_replaced(tmp_path):
    content = pack.pack(float_graph("marker"))
    damaged = content.replace(b"marker", b"a\xff\xc0\x80\xedb")
    header = np.frombuffer(damaged, record("model_header").dtype, 1).copy()
    data_offset = int(header["sections"][0][-1]["offset"])
    header["tables_crc32"] = zlib.crc32(damaged[header.nbytes : data_offset])
    header["header_crc32"] = 0
    header["header_crc32"] = zlib.crc32(header.tobytes())
    path = tmp_path / "odd.qbm"
    path.write_bytes(header.tobytes() + damaged[header.nbytes :])
    assert (
        runner.run("repeat", "--model", path, "--runs", 0).events[0]["model"] == "a\ufffd\ufffd\ufffd\ufffdb"
    )


def test_latency(model, data):
    for source in ((), ("--data", data)):
        arguments = ("--min-runs", 150, "--min-ms", 20, "--max-ms", 60000, "--warmup-ms", 5)
        outcome = runner.run("latency", "--model", model, *source, *arguments)
        kinds = [e["event"] for e in outcome.events]
        batches = [e["ns"] for e in outcome.named("samples")]
        assert kinds == ["start", "cold", "warmup", *["samples"] * len(batches), "usage", "end"]
        assert all(len(batch) == 64 for batch in batches[:-1])
        assert sum(map(len, batches)) >= 150
        assert all(ns > 0 for batch in batches for ns in batch)
        assert outcome.named("warmup")[0]["runs"] >= 3
        assert outcome.named("usage")[0]["vm_hwm_kb"] > 0
        assert isinstance(outcome.events[0]["core"], int)


def test_latency_stops_at_the_cap(model):
    limits = ("--min-runs", 1000000000, "--min-ms", 0, "--max-ms", 30, "--warmup-ms", 0)
    outcome = runner.run("latency", "--model", model, *limits, timeout=20)
    assert outcome.exit_code == 0


def test_other_programs_on_its_core_are_counted(model):
    core = min(os.sched_getaffinity(0))
    burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        os.sched_setaffinity(burner.pid, {core})
        lasting = ("--min-runs", 5, "--min-ms", 500, "--max-ms", 60000, "--warmup-ms", 0)
        said = runner.run("latency", "--model", model, "--core", core, *lasting)
    finally:
        burner.kill()
        burner.wait()
    (usage,) = said.named("usage")
    assert usage["involuntary_switches"] > SWITCHES_PER_S * 0.5


def test_latency_without_pinning(model):
    assert runner.run("latency", "--model", model, *LATENCY, "--core", "none").events[0]["core"] is None


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


def test_profile(model):
    nodes = runner.run("profile", "--model", model, "--runs", 3).named("node")
    assert [n["op"] for n in nodes] == ["MAX_POOL_2D", "RELU", "RESHAPE", "SOFTMAX"]
    assert [n["index"] for n in nodes] == [0, 1, 2, 3]
    assert all(len(n["ns"]) == 3 and n["arithmetic"] == "f32" and n["kernel"] for n in nodes)
    assert nodes[0]["bytes"] == (32 + 8) * 4


def test_mark_prints_nothing_of_its_own(model):
    assert [e["event"] for e in runner.run("mark", "--model", model).events] == ["start", "end"]


def test_counters_are_counts_or_not_known(model):
    (event,) = runner.run("counters", "--model", model).named("counters")
    for name in ("instructions", "cycles"):
        assert event[name] is None or event[name] > 0


@pytest.mark.parametrize("size", [128, 1000, 100_000_000])
def test_bandwidth(size):
    (event,) = runner.run("bandwidth", "--bytes", size).named("bandwidth")
    assert event["bytes"] >= max(size, 1 << 26) - 128 - (1 << 26) // size * 128
    assert len(event["ns"]) == 10
    assert 0.1 < event["bytes"] / min(event["ns"]) < 10_000  # gigabytes a second


@pytest.mark.parametrize("size", [0, 127, 10**9 * 2])
def test_bandwidth_of_nothing_or_of_too_much(size):
    assert "--bytes" in runner.run("bandwidth", "--bytes", size).error


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


def test_predict_many_samples(model, tmp_path):
    inputs = np.random.default_rng(1).normal(0, 1, (5, 4, 4, 2)).astype(np.float32)
    source, target = tmp_path / "in.bin", tmp_path / "out.bin"
    source.write_bytes(inputs.tobytes())
    assert runner.run("predict", "--model", model, "--input", source, "--output", target).exit_code == 0
    graph = float_graph()
    expected = [run_reference(graph, {"x": x[None]})[graph.outputs[0]] for x in inputs]
    actual = np.frombuffer(target.read_bytes(), np.float32).reshape(5, 8)
    assert np.allclose(actual, np.concatenate(expected), atol=1e-6)
    assert not (tmp_path / "out.bin.part").exists()


@pytest.mark.parametrize("size", [0, 1, 127, 129])
def test_predict_needs_whole_samples(size, model, tmp_path):
    source, target = tmp_path / "in.bin", tmp_path / "out.bin"
    source.write_bytes(bytes(size))
    outcome = runner.run("predict", "--model", model, "--input", source, "--output", target)
    assert outcome.exit_code == 2
    assert "samples of 128 bytes" in outcome.error
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.bin", "small.qbm"]


@pytest.mark.parametrize("missing", ["input", "output"])
def test_predict_with_a_missing_folder(missing, model, tmp_path):
    paths = {"input": tmp_path / "in.bin", "output": tmp_path / "out.bin"}
    paths["input"].write_bytes(bytes(128))
    paths[missing] = tmp_path / "nowhere" / "file.bin"
    outcome = runner.run("predict", "--model", model, "--input", paths["input"], "--output", paths["output"])
    assert outcome.exit_code == 2
    assert "nowhere" in outcome.error


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


def test_a_closed_output_ends_the_runner(model):
    command = [*runner.command(), "latency", "--model", str(model), *map(str, LATENCY)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=20)
    assert done.returncode == 2
