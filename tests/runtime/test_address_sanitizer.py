"""No kernel reads or writes outside its memory: AddressSanitizer over every op and ISA variant of this
machine, on odd shapes, strides, paddings, channel counts from 1 on and weight zero points.

zig has no AddressSanitizer for static binaries, so the system's GCC or clang compiles the runner here, which
takes minutes. The default run has the undefined behaviour sanitizer (`sanitized=True`).
"""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness import build, cache, pack
from tests.support import linear_graphs, op_graphs, runner, winograd_graphs

FLAGS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
ISAS = ("scalar", "avx2", "avxvnni", "avx512", "avx512vnni", "neon", "fp16", "dotprod", "i8mm")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def binary() -> Path:
    """The runner, compiled by the system's compiler with both sanitizers."""
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("needs gcc or clang")
    sources = build.sources_of(runner.HOST)
    folder = cache.folder("runners", f"asan-{build._key(runner.HOST, sources, FLAGS)}")
    return cache.file(folder / "bench-runner", lambda path: compile_runner(compiler, sources, path))


def compile_runner(compiler: str, sources: dict[str, tuple[str, ...]], path: Path) -> None:
    common = [compiler, "-std=gnu11", "-ffp-contract=off", "-w", "-Iinclude", "-Isrc", *FLAGS]

    def compile_one(item: tuple[str, tuple[str, ...]]) -> str:
        source, own = item
        output = str(path.parent / (source.replace("/", "-") + ".o"))
        own = tuple(flag for flag in own if not flag.startswith("-mcpu"))
        subprocess.run([*common, *own, "-c", source, "-o", output], cwd=build.FOLDER, check=True)
        return output

    with ThreadPoolExecutor(build.JOBS) as pool:
        objects = list(pool.map(compile_one, sources.items()))
    subprocess.run([compiler, *FLAGS, *objects, "-lm", "-o", str(path)], check=True)


def isas(binary: Path) -> list[str]:
    listed = subprocess.run([binary, "info"], capture_output=True, text=True, check=True).stdout
    return [isa for isa in ISAS if f'"{isa}"' in listed.partition('"isas":')[2]]


def check(binary: Path, graph, folder: Path) -> None:
    """One inference on each ISA variant; a sanitizer's finding ends the process with a report."""
    pack.write(graph, folder / "model.qbm")
    arguments = ["repeat", "--model", str(folder / "model.qbm"), "--runs", "1"]
    for isa in isas(binary):
        done = subprocess.run([binary, *arguments], env={"QB_ISA": isa}, capture_output=True, text=True)
        assert done.returncode == 0, (isa, done.stderr[:4000])


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("arithmetic", linear_graphs.ARITHMETICS)
@pytest.mark.parametrize("op", linear_graphs.OPS)
def test_linear(op, arithmetic, seed, binary, tmp_path):
    check(binary, linear_graphs.linear_graph(op, arithmetic, 120, seed), tmp_path)


@pytest.mark.parametrize("arithmetic", ["int8", "hybrid"])
def test_winograd(arithmetic, binary, tmp_path):
    shapes = winograd_graphs.SHAPES
    check(binary, winograd_graphs.conv_graph(shapes, arithmetic, winograd_graphs.random_weights), tmp_path)


@pytest.mark.parametrize("quantized", [True, False], ids=["int8", "f32"])
@pytest.mark.parametrize("op", op_graphs.DRAW)
def test_elementary(op, quantized, binary, tmp_path):
    if op == "Quantize" and not quantized:
        pytest.skip("int8 only")
    check(binary, op_graphs.op_graph(op, quantized, 80, seed=1), tmp_path)
