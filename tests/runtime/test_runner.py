"""The runner's modes, as runtime/RUNNER.md describes them."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib

import numpy as np
import pytest

from harness import pack
from harness.formats import record
from harness.measure import SWITCHES_PER_S
from harness.ops import run_reference
from tests.support import runner
from tests.support.runner_files import float_graph

LATENCY = ("--min-runs", 5, "--min-ms", 0, "--max-ms", 60000, "--warmup-ms", 0)


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


def test_a_closed_output_ends_the_runner(model):
    command = [*runner.command(), "latency", "--model", str(model), *map(str, LATENCY)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=20)
    assert done.returncode == 2
