"""Runs the compiled runner in tests: this machine's, or another architecture's under QEMU."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from harness import build, pack
from harness.graph import Graph

HOST = build.host_arch()
EMULATORS = {"aarch64": "qemu-aarch64", "armv7": "qemu-arm", "x86_64": "qemu-x86_64"}
# Undefined behaviour ends the process with a signal; nothing is linked for it.
SANITIZED = ("-fsanitize=undefined", "-fsanitize-trap=undefined")


@dataclass(frozen=True)
class Outcome:
    """What one start of the runner left: its exit code (negative: a signal) and its JSON lines."""

    exit_code: int
    events: list[dict]
    stderr: str

    @property
    def error(self) -> str:
        """The message of the last line, which must be an `error`."""
        assert self.events[-1]["event"] == "error", self.events[-1]
        return self.events[-1]["message"]

    def named(self, event: str) -> list[dict]:
        return [e for e in self.events if e["event"] == event]


def command(arch: str = HOST, sanitized: bool = False) -> list[str]:
    """The words that start the runner of `arch` here; skips the test where it cannot be emulated."""
    emulator = [] if arch == HOST else [shutil.which(EMULATORS[arch])]
    if emulator == [None]:
        pytest.skip(f"needs {EMULATORS[arch]}")
    return [*emulator, str(build.runner(arch, extra_flags=SANITIZED if sanitized else ()))]


def run(
    *arguments: object, arch: str = HOST, isa: str = "", sanitized: bool = False, timeout: float = 60
) -> Outcome:
    """Runs `bench-runner ARGUMENTS…`; `isa` forces an ISA variant."""
    words = [*command(arch, sanitized), *map(str, arguments)]
    done = subprocess.run(
        words, env={"QB_ISA": isa}, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL
    )
    events = [json.loads(line) for line in done.stdout.decode().splitlines()]
    return Outcome(done.returncode, events, done.stderr.decode(errors="replace"))


def predict(
    graph: Graph,
    inputs: list[np.ndarray],
    folder: Path,
    *,
    arch: str = HOST,
    isa: str = "",
    sanitized: bool = False,
) -> list[np.ndarray]:
    """Outputs of one inference of `graph`, in the order of its outputs. `folder` takes the files."""
    model, source, target = folder / "model.qbm", folder / "in.bin", folder / "out.bin"
    pack.write(graph, model)
    source.write_bytes(b"".join(np.ascontiguousarray(a).tobytes() for a in inputs))
    files = ("--model", model, "--input", source, "--output", target)
    outcome = run("predict", *files, arch=arch, isa=isa, sanitized=sanitized)
    assert outcome.exit_code == 0, outcome.stderr
    return split_outputs(graph, target.read_bytes())


def split_outputs(graph: Graph, content: bytes) -> list[np.ndarray]:
    """The arrays of one sample in an output file of `predict`."""
    arrays, start = [], 0
    for name in graph.outputs:
        tensor = graph.tensors[name]
        arrays.append(np.frombuffer(content, tensor.dtype, tensor.nbytes // tensor.dtype.itemsize, start))
        arrays[-1] = arrays[-1].reshape(tensor.shape)
        start += tensor.nbytes
    assert start == len(content)
    return arrays
