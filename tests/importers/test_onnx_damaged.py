"""Damaged and hostile .onnx files end in one clear line, or in a network that runs."""

from __future__ import annotations

import math
import resource
from collections.abc import Iterator

import numpy as np
import pytest

from harness import passes
from harness.errors import FormatError
from harness.importers import load
from harness.ops import infer_shapes, run_reference
from tests.support.fuzz import damaged

pytest.importorskip("onnx", reason="needs onnx")

from tests.support.onnx_networks import OnnxBuilder  # noqa: E402

RUNNABLE = 1e6  # values of all tensors together, above which a network is not run
MOST_BYTES = 2**30
NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def small_file() -> bytes:
    """Float and quantized layers, sizes that are computed, and the ops that move values."""
    b = OnnxBuilder(13)
    x = b.relu6(b.batch_norm(b.conv(b.input(("N", 3, 8, 8)), 4, stride=2)))
    scale = [b.const(np.float32(0.05)), b.const(np.uint8(10))]
    x = b.node("DequantizeLinear", b.node("QuantizeLinear", x, *scale), *scale)
    b.channels[x] = 4
    w = b.const(b.rng.integers(-9, 9, (4, 1, 3, 3)).astype(np.int8))
    x = b.node("Conv", x, b.node("DequantizeLinear", w, b.const(np.float32(0.01))), group=4, pads=[1] * 4)
    size = b.node("Concat", b.node("Shape", x), b.const(np.array([1], np.int64)), axis=0)
    x = b.node("Reshape", x, b.node("Slice", size, *(b.const(np.array([n], np.int64)) for n in (0, 4))))
    x = b.node("Resize", x, "", b.const(np.float32([1, 1, 2, 2])), **NEAREST)
    x = b.node("Concat", x, b.node("Transpose", x, perm=[0, 1, 3, 2]), axis=1)
    x = b.node("Pad", b.max_pool(x, 2, 2), b.const(np.array([0, 0, 1, 0, 0, 0, 0, 1], np.int64)))
    x = b.node("Flatten", b.node("ReduceMean", x, axes=[3]))
    y = b.node("Gemm", x, b.const(b.rng.normal(size=(3, 40))), transB=1)
    return b.bytes(b.node("Softmax", y, axis=1))


@pytest.fixture
def limited() -> Iterator[None]:
    """No more than MOST_BYTES of memory beside what the process has."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with open("/proc/self/statm") as statm:
        data = int(statm.read().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (data + MOST_BYTES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_DATA, before)


def outcome(path, content) -> str:
    """The refusal of a file; "" where the network runs, or is too large to be run here."""
    path.write_bytes(content)
    try:
        graph = passes.apply(load(path))
        if sum(math.prod(t.shape) for t in graph.tensors.values()) < RUNNABLE:
            with np.errstate(all="ignore"):
                run_reference(infer_shapes(graph), inputs(graph))
    except FormatError as error:
        return str(error)
    return ""


def inputs(graph):
    tensors = (graph.tensors[name] for name in graph.inputs)
    return {t.name: np.ones(t.shape, np.float32) for t in tensors}


def test_the_file_itself_runs(tmp_path):
    assert outcome(tmp_path / "m.onnx", small_file()) == ""


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_every_truncation_is_refused(step, tmp_path, limited):
    content = small_file()
    domain = content.rindex(b"com.microsoft")  # the list of opsets ends with one that this file does not need
    for length in range(0, len(content), step):
        told = outcome(tmp_path / "m.onnx", content[:length])
        assert told or length > domain - 10, length
        assert "\n" not in told


@pytest.mark.parametrize("count", [300, pytest.param(100_000, marks=pytest.mark.slow)])
def test_damaged_files_are_refused_or_run(count, tmp_path, limited):
    content, refused = small_file(), 0
    for copy in damaged(content, count, seed=count):
        told = outcome(tmp_path / "m.onnx", copy)
        assert "\n" not in told
        refused += bool(told)
    assert count // 3 < refused < count  # neither all refused nor nothing checked


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda b, x: b.node("Expand", x, b.const(np.array([2**40, 3], np.int64))), "Expand"),
        (
            lambda b, x: b.node("Reshape", x, b.node("ConstantOfShape", b.const(np.array([2**40])))),
            "constant",
        ),
        (lambda b, x: b.node("Add", x, b.node("Range", *ends(b, 0, 2**40, 1))), "constant of"),
        (lambda b, x: b.node("Add", x, b.node("Expand", *wide(b))), "constant of"),
        (lambda b, x: many(b, x), "too much memory"),
        (lambda b, x: b.node("Pad", x, b.const(np.array([0, 2**30, 0, 2**30]))), "more values than a tensor"),
    ],
)
def test_a_few_bytes_do_not_take_all_the_memory(build, problem, tmp_path, limited):
    b = OnnxBuilder(13)
    content = b.bytes(build(b, b.input((1, 3))))
    assert problem in outcome(tmp_path / "m.onnx", content)


def ends(b, *numbers):
    return [b.const(np.float32(n)) for n in numbers]


def wide(b):
    return b.const(np.float32([[1]])), b.const(np.array([2**20, 2**20], np.int64))


def many(b, x):
    large = b.node("ConstantOfShape", b.const(np.array([2**23], np.int64)))
    for _ in range(3):
        x = b.node("Sub", b.node("ReduceMax", x, axes=[1]), large)
    return x
