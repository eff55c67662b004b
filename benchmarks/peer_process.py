"""One process of a peer: `python -m benchmarks.peer_process ENGINE MODEL CORE MIN_RUNS MIN_MS`.

Prints one JSON object: load_ns (from the file to a session that can run), cold_ns (first inference), ns
(timed inferences), resident_kb (before loading), vm_hwm_kb (the peak, after the first inference). The
runner's mode `latency` gives the same of ours. Imports nothing but NumPy and the engine, so that the memory
is theirs.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

WARMUP_RUNS, LONGEST_WARMUP_MS = 3, 300
Infer = Callable[[], object]


def litert() -> Callable[[str], Infer]:
    """XNNPACK for all that it takes (OpResolverType.AUTO, the default), one thread."""
    from ai_edge_litert.interpreter import Interpreter

    def load(path: str) -> Infer:
        interpreter = Interpreter(path, num_threads=1)
        interpreter.allocate_tensors()
        for details in interpreter.get_input_details():
            interpreter.set_tensor(details["index"], some_input(details["shape"], details["dtype"]))
        return interpreter.invoke

    return load


def onnxruntime() -> Callable[[str], Infer]:
    """All graph optimizations, one thread, no spinning, inputs and outputs bound once."""
    import onnxruntime as ort

    def load(path: str) -> Infer:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        (source,) = session.get_inputs()
        feed = {source.name: some_input([d if isinstance(d, int) else 1 for d in source.shape], np.float32)}
        return lambda: session.run(None, feed)

    return load


def openvino() -> Callable[[str], Infer]:
    """One stream and one thread, tuned for latency, float32 kept float32."""
    import openvino as ov

    def load(path: str) -> Infer:
        hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
        core = ov.Core()
        compiled = core.compile_model(path, "CPU", hints | {"INFERENCE_PRECISION_HINT": "f32"})
        request = compiled.create_infer_request()
        tensor = request.get_input_tensor()
        tensor.data[:] = some_input(tensor.shape, tensor.data.dtype)
        return request.infer

    return load


ENGINES = {"litert": litert, "onnxruntime": onnxruntime, "openvino": openvino}


def some_input(shape: list[int], dtype: type) -> np.ndarray:
    """The same pseudo-random input for every engine: 8-bit integers, or floats in [-1, 1)."""
    rng = np.random.default_rng(0)
    if np.issubdtype(dtype, np.integer):
        return rng.integers(-128, 128, tuple(shape)).astype(dtype)
    return rng.uniform(-1, 1, tuple(shape)).astype(dtype)


def status(key: str) -> int:
    """A field of /proc/self/status, in kB."""
    return int(re.search(rf"^{key}:\s+(\d+)", Path("/proc/self/status").read_text(), re.M)[1])


def timed(infer: Infer) -> int:
    start = time.perf_counter_ns()
    infer()
    return time.perf_counter_ns() - start


def repeat(infer: Infer, min_runs: int, min_ms: int) -> list[int]:
    """Nanoseconds of inferences until both minimums are met."""
    ns: list[int] = []
    while len(ns) < min_runs or sum(ns) < min_ms * 1_000_000:
        ns.append(timed(infer))
    return ns


def run(engine: str, model: str, core: int, min_runs: int, min_ms: int) -> dict:
    os.sched_setaffinity(0, {core})
    load = ENGINES[engine]()
    resident_kb = status("VmRSS")
    start = time.perf_counter_ns()
    infer = load(model)
    load_ns = time.perf_counter_ns() - start
    cold_ns = timed(infer)
    vm_hwm_kb = status("VmHWM")
    repeat(infer, WARMUP_RUNS, min(min_ms, LONGEST_WARMUP_MS))
    ns = repeat(infer, min_runs, min_ms)
    return {
        "load_ns": load_ns,
        "cold_ns": cold_ns,
        "ns": ns,
        "resident_kb": resident_kb,
        "vm_hwm_kb": vm_hwm_kb,
    }


if __name__ == "__main__":
    name, path, *numbers = sys.argv[1:]
    print(json.dumps(run(name, path, *map(int, numbers))))
