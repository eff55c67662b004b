"""Runs one case's configurations in LiteRT and in our runtime, and compares."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness import pack
from harness.errors import BenchError
from harness.graph import Graph
from tests.conformance.draw import SAMPLES, Case, Draw, Model
from tests.support import runner
from tests.support.litert import Reference

DEVICES = {"local": runner.HOST, "qemu": "aarch64", "qemu-armv7": "armv7"}
TOLERANCE = 1e-6
NATIVE_F16 = 33 * 2.0**-11  # of aarch64's float16 arithmetic: runtime/src/kernels/gemm_fp16.h


class Disagreement(Exception):
    """Why a configuration, or a model of several, does not conform."""


@dataclass(frozen=True)
class Failure:
    """One configuration that does not conform, and how to repeat it."""

    case: Case
    seed: int
    device: str
    problem: str

    def __str__(self) -> str:
        where = f"--op {self.case.op} --arithmetic {self.case.arithmetic} --seed {self.seed}"
        return f"{where} --device {self.device}: {self.problem}"


def check(case: Case, seeds: list[int], devices: list[str]) -> list[Failure]:
    """The configurations that fail. One model holds all; where it cannot run, each is tried by itself."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.tflite"
        try:
            model, content = build(case, seeds)
            expected = run_litert(case, model, content)
            magnitudes = expected
            if case.relative_to == "sums":
                magnitudes = run_litert(case, *build(case, seeds, absolute=True))
            if case.relative_to == "largest":
                magnitudes = [[np.full_like(y, np.abs(y).max()) for y in outputs] for outputs in expected]
        except (RuntimeError, ValueError) as error:
            if len(seeds) > 1:
                return [failure for seed in seeds for failure in check(case, [seed], devices)]
            return [Failure(case, seeds[0], "local", f"LiteRT refuses what the case draws: {error}")]
        source.write_bytes(content)
        failures = []
        for device in devices:
            try:
                actual = _ours(case, model, source, DEVICES[device])
            except (BenchError, Disagreement) as error:
                if len(seeds) > 1:
                    failures += [failure for seed in seeds for failure in check(case, [seed], [device])]
                else:
                    failures.append(Failure(case, seeds[0], device, str(error)))
            else:
                native = case.arithmetic == "f16" and DEVICES[device] == "aarch64"
                tolerance = NATIVE_F16 if native else TOLERANCE
                failures += _compare(case, device, model.seed_of, actual, expected, magnitudes, tolerance)
        return failures


def build(case: Case, seeds: list[int], absolute: bool = False) -> tuple[Model, bytes]:
    """One model of these configurations, and its file."""
    model = Model()
    for seed in seeds:
        case.function(Draw(model, case, seed, absolute))
    return model, model.content()


def run_litert(case: Case, model: Model, content: bytes) -> list[list[np.ndarray]]:
    """LiteRT's outputs of every sample."""
    reference = Reference(content, case.optimized)
    return [reference.run(*(values[i] for values in model.values)) for i in range(SAMPLES)]


def _compare(
    case: Case, device: str, seed_of: list[int], actual, expected, magnitudes, tolerance: float
) -> list[Failure]:
    """The first failure of each configuration."""
    failures: dict[int, Failure] = {}
    for sample, outputs in enumerate(zip(actual, expected, magnitudes, strict=True)):
        for seed, ours, theirs, magnitude in zip(seed_of, *outputs, strict=True):
            problem = difference(ours, theirs, magnitude, tolerance)
            if problem and seed not in failures:
                failures[seed] = Failure(case, seed, device, f"sample {sample}: {problem}")
    return list(failures.values())


def _ours(case: Case, model: Model, source: Path, arch: str) -> list[list[np.ndarray]]:
    """Our runtime's outputs of every sample; one start of the runner."""
    packed, sent, received = (source.with_suffix(suffix) for suffix in (".qbm", ".in", ".out"))
    graph = case.graph(source)
    pack.write(graph, packed)
    sent.write_bytes(b"".join(v[i].tobytes() for i in range(SAMPLES) for v in model.values))
    arguments = ("--model", packed, "--input", sent, "--output", received, "--state", "keep")
    outcome = runner.run("predict", *arguments, arch=arch, sanitized=arch == runner.HOST)
    if outcome.exit_code != 0:
        raise Disagreement(f"the runner ended with {outcome.exit_code}: {outcome.stderr.strip()}")
    return _split(graph, received.read_bytes())


def _split(graph: Graph, content: bytes) -> list[list[np.ndarray]]:
    size = len(content) // SAMPLES
    return [runner.split_outputs(graph, content[i * size : (i + 1) * size]) for i in range(SAMPLES)]


def difference(
    ours: np.ndarray, theirs: np.ndarray, magnitude: np.ndarray, tolerance: float = TOLERANCE
) -> str | None:
    """How our values differ from LiteRT's, or None where they agree to `tolerance` of `magnitude`."""
    if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
        return f"is {ours.dtype}{ours.shape}, expected {theirs.dtype}{theirs.shape}"
    wrong = ours != theirs
    if ours.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            bound = tolerance * np.maximum(np.abs(magnitude), np.finfo(np.float32).tiny)
            wrong &= ~(np.abs(ours - theirs) <= np.nan_to_num(bound, posinf=0.0))
        wrong &= ~(np.isnan(ours) & np.isnan(theirs))
    if not wrong.any():
        return None
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"{wrong.sum()} of {wrong.size} differ, first at {first}: {ours[first]}, expected {theirs[first]}"
