"""Who takes part on x86-64, and one process of each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks import avx2_only
from benchmarks.networks import Network
from benchmarks.peer_process import LONGEST_WARMUP_MS
from devices import RunResult
from harness import build, runner_output
from harness.errors import TrialError
from harness.pack import write
from harness.sources import open_source

OURS = "quantbench"
NATIVE, AVX2 = "native", "avx2"
TIMEOUT_S = 600
ROOT = Path(__file__).parent.parent
TFLITE = {"int8": "int8.tflite", "hybrid": "dyn.tflite", "f32": "f32.tflite"}
# engine → its importable package, its distribution, what makes a form, what the table calls it
PACKAGES = {
    "litert": ("ai_edge_litert", "ai-edge-litert"),
    "onnxruntime": ("onnxruntime", "onnxruntime"),
    "openvino": ("openvino", "openvino"),
}


@dataclass(frozen=True)
class Contender:
    """One engine with one file of a network. isa: all that the processor has, or AVX2 and nothing later."""

    engine: str
    form: str
    file: str
    isa: str

    @property
    def key(self) -> str:
        return f"{self.engine} {self.file} {self.isa}"


def contenders(isa: str) -> list[Contender]:
    """Everyone that runs the forms of one ISA; OpenVINO with both of its ways to int8."""
    ours = [Contender(OURS, form, file, isa) for form, file in TFLITE.items()]
    litert = [Contender("litert", form, file, isa) for form, file in TFLITE.items()]
    onnx = [Contender("onnxruntime", form, f"{form}.onnx", isa) for form in ("int8", "f32")]
    files = (("int8", "int8.xml"), ("int8", "int8.onnx"), ("f32", "f32.onnx"))
    return [*ours, *litert, *onnx, *(Contender("openvino", form, file, isa) for form, file in files)]


def measure(contender: Contender, network: Network, core: int, min_runs: int, min_ms: int) -> dict:
    """One process: load_ns, cold_ns, ns [timed runs], vm_hwm_kb, resident_kb (before loading), isa.

    Raises TrialError where it fails, BenchError where what it needs cannot be made.
    """
    if contender.engine == OURS:
        return _ours(contender, network, core, min_runs, min_ms)
    numbers = [str(number) for number in (core, min_runs, min_ms)]
    argv = [sys.executable, "-m", "benchmarks.peer_process", contender.engine]
    argv += [str(network.file(contender.file)), *numbers]
    environment = dict(os.environ)
    if contender.isa == AVX2:
        environment |= avx2_only.environment(*PACKAGES[contender.engine])
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, timeout=TIMEOUT_S)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"code {done.returncode}"]
        raise TrialError(f"{contender.key} on {network.name}: {said[-1]}")
    return json.loads(done.stdout) | {"isa": contender.isa}


def _ours(contender: Contender, network: Network, core: int, min_runs: int, min_ms: int) -> dict:
    nonce = runner_output.new_nonce()
    argv = [str(build.runner("x86_64")), "latency", "--model", str(_packed(network, contender.file))]
    argv += ["--nonce", nonce, "--core", str(core), "--warmup-ms", str(min(min_ms, LONGEST_WARMUP_MS))]
    argv += ["--min-runs", str(min_runs), "--min-ms", str(min_ms), "--max-ms", str(TIMEOUT_S * 500)]
    environment = {"QB_ISA": AVX2} if contender.isa == AVX2 else {}
    done = subprocess.run(argv, env=environment, capture_output=True, timeout=TIMEOUT_S)
    result = RunResult(done.returncode, done.stdout, done.stderr)
    start, cold, _, usage, ns = runner_output.read_latency(result, nonce)
    return {
        "load_ns": start.load_ns,
        "cold_ns": cold.ns,
        "ns": ns.tolist(),
        "resident_kb": 0,
        "vm_hwm_kb": usage.vm_hwm_kb,
        "isa": start.isa,
    }


@cache
def _packed(network: Network, file: str) -> Path:
    """The network's .tflite as our model file beside it, written once a run."""
    source = network.file(file)
    path = source.with_suffix(".qbm")
    write(open_source(str(source)).graph, path)
    return path
