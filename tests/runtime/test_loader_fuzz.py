"""Hostile model files: the loader refuses them with a message or runs them; it never crashes or hangs."""

from __future__ import annotations

import subprocess
import zlib

import numpy as np
import pytest

from harness import pack
from harness.formats import record
from harness.passes import quantize_weights
from tests.support import linear_graphs, op_graphs, runner
from tests.support.c_programs import program
from tests.support.graphs import small_network

LINEAR = [(op, arithmetic) for op in linear_graphs.OPS for arithmetic in linear_graphs.ARITHMETICS]


def fuzz(content: bytes, count: int, tmp_path) -> tuple[int, int, int]:
    """How many of the changed files were refused at open, at prepare, and ran."""
    seed = tmp_path / "seed.qbm"
    seed.write_bytes(content)
    done = subprocess.run(
        [program("fuzz_model"), seed, str(count)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"exit code {done.returncode}"
    refused_at_open, refused_at_prepare, ran = map(int, done.stdout.split())
    assert refused_at_open + refused_at_prepare + ran == len(content) + count
    return refused_at_open, refused_at_prepare, ran


@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize("op", op_graphs.DRAW)
def test_changed_models_of_elementary_ops(op, quantized, tmp_path):
    graph = (
        op_graphs.conversion_graph(op, 2, seed=1)
        if op == "Quantize" and not quantized
        else op_graphs.op_graph(op, quantized, 2, seed=1)
    )
    assert all(fuzz(pack.pack(graph), 4000, tmp_path))  # each of the three happened


@pytest.mark.parametrize(("op", "arithmetic"), LINEAR)
def test_changed_models_of_linear_ops(op, arithmetic, tmp_path):
    graph = linear_graphs.linear_graph(op, arithmetic, 1, seed=1)
    assert all(fuzz(pack.pack(graph), 2000, tmp_path))


def test_changed_models_with_steps_that_run_at_load(tmp_path):
    graph = quantize_weights.run(small_network(), minimum_size=1)
    assert all(fuzz(pack.pack(graph), 2000, tmp_path))


def small_model() -> bytes:
    return pack.pack(op_graphs.op_graph("Relu", True, 1, seed=1))


def run_bytes(content: bytes, tmp_path) -> runner.Outcome:
    path = tmp_path / "model.qbm"
    path.write_bytes(content)
    return runner.run("repeat", "--model", path, "--runs", 1, sanitized=True, timeout=20)


def test_the_runner_refuses_every_cut(tmp_path):
    content = small_model()
    for cut in range(0, len(content), 97):
        outcome = run_bytes(content[:cut], tmp_path)
        assert outcome.exit_code == 2
        assert "model.qbm" in outcome.error
        assert outcome.error in outcome.stderr


def test_the_runner_refuses_every_damaged_byte(tmp_path):
    content = small_model()
    for position in range(0, len(content), 131):
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        outcome = run_bytes(bytes(damaged), tmp_path)
        assert (outcome.exit_code, outcome.events[-1]["event"]) == (2, "error")


def with_header(content: bytes, **changes: object) -> bytes:
    """The file with header fields replaced and the header's checksum right again."""
    kind = record("model_header").dtype
    header = np.frombuffer(content, kind, 1).copy()
    for field, value in changes.items():
        header[field] = value
    header["header_crc32"] = 0
    header["header_crc32"] = zlib.crc32(header.tobytes())
    return header.tobytes() + content[kind.itemsize :]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"version": 1}, "format version 1"),
        ({"arena_size": 2**40}, "asks for 1099511627776 bytes"),
        ({"arena_size": 0}, "lies outside its section"),
        ({"name": 2**31}, "name lies outside"),
        ({"inputs_count": 0}, "inputs or outputs are missing"),
        ({"inputs_first": 2**32 - 1}, "inputs or outputs are missing or outside"),
        ({"outputs_first": 0, "outputs_count": 2**31}, "inputs or outputs are missing or outside"),
    ],
)
def test_what_the_runner_says(changes, complaint, tmp_path):
    outcome = run_bytes(with_header(small_model(), **changes), tmp_path)
    assert outcome.exit_code == 2
    assert complaint in outcome.error


def test_an_output_that_lies_over_its_input_is_refused(tmp_path):
    content = bytearray(pack.pack(op_graphs.op_graph("AveragePool2D", True, 1, seed=1)))
    header = np.frombuffer(content, record("model_header").dtype, 1)
    first, count = header["sections"][0][0].tolist()
    tensors = np.frombuffer(content, record("tensor_record").dtype, count, first)
    tensors["offset"] = 0  # in place: the array is a view of the file
    tables = bytes(content[record("model_header").nbytes : header["sections"][0]["offset"][-1]])
    outcome = run_bytes(with_header(bytes(content), tables_crc32=zlib.crc32(tables)), tmp_path)
    assert "its output lies over an input" in outcome.error


@pytest.mark.parametrize("section", range(6))
def test_sections_outside_the_file(section, tmp_path):
    content = small_model()
    sections = np.frombuffer(content, record("model_header").dtype, 1)["sections"][0].copy()
    for offset, count in [(2**63, 1), (64, 1), (int(sections[section]["offset"]), 2**61), (2**64 - 64, 64)]:
        changed = sections.copy()
        changed[section] = (offset, count)
        outcome = run_bytes(with_header(content, sections=changed), tmp_path)
        assert outcome.exit_code == 2
        assert "section" in outcome.error


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "nothing.qbm", tmp_path):
        outcome = runner.run("repeat", "--model", path, "--runs", 1)
        assert outcome.exit_code == 2
        assert str(path) in outcome.error
