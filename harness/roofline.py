"""What holds a layer up: arithmetic, memory, or neither, judged by peaks measured on the device.

The roofline (Williams, Waterman, Patterson, "Roofline: An Insightful Visual Performance Model for Multicore
Architectures", CACM 2009) bounds a layer's time from below:

    bound = max(MACs / peak of its arithmetic, bytes / bandwidth)

    "overhead"   the layer takes more than OVERHEAD times its bound
    "compute"    the first term is the larger one
    "memory"     the second is

The peak of an arithmetic is what a convolution reaches that suits the kernels: 1×1, all of it in a
second-level cache, depth and width multiples of every tile. So "compute" means as fast as these kernels are
at their best; how far that is from what the processor could do, runtime/README.md says. The bandwidth is
that of reading a buffer as large as the model again and again, so it comes from where the model lies between
two inferences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from devices import Device
from harness.deploy import deploy_built
from harness.graph import Graph, Node, Tensor
from harness.ops import infer_shapes
from harness.pack import write
from harness.quantize import float16, hybrid, int8
from harness.quantize.calibrate import Range
from harness.results import Variant
from harness.runner_events import NodeTime
from harness.trial import bandwidth_trial, instructions_by_node, profile_trial

OVERHEAD = 3.0
PIXELS, DEPTH, WIDTH = (6, 8), 1024, 64  # 3.1 M MACs on 118 kB of int8 or 470 kB of float32
PEAK_RUNS = 20


@dataclass(frozen=True)
class Peaks:
    """The most that a device does. MACs by arithmetic, as PEAK_GRAPHS lists them; bandwidth in bytes per ns.

    macs_per_instruction is empty where the device cannot count.
    """

    macs_per_ns: dict[str, float]
    macs_per_instruction: dict[str, float]
    bandwidth: float


def bound(node: NodeTime, peaks: Peaks) -> tuple[float, str] | None:
    """The least nanoseconds that a layer can take, and "compute" or "memory"; None without a peak for it."""
    if node.macs and node.arithmetic not in peaks.macs_per_ns:
        return None
    compute = node.macs / peaks.macs_per_ns[node.arithmetic] if node.macs else 0.0
    return max((compute, "compute"), (node.bytes / peaks.bandwidth, "memory"))


def verdict(node: NodeTime, peaks: Peaks) -> str | None:
    """ "compute", "memory" or "overhead"; None for a layer that took no time or that no peak is known for."""
    least = bound(node, peaks)
    if least is None or not node.median_ns:
        return None
    return "overhead" if node.median_ns > OVERHEAD * least[0] else least[1]


def measure_peaks(device: Device, nodes: Sequence[NodeTime], model_bytes: int, work: Path) -> Peaks:
    """The peaks that the verdicts of these nodes need.

    work: a folder for model files. Raises DeviceError and TrialError.
    """
    arithmetics = sorted({node.arithmetic for node in nodes if node.macs} & PEAK_GRAPHS.keys())
    files = {arithmetic: work / f"peak-{arithmetic}.qbm" for arithmetic in arithmetics}
    for arithmetic, path in files.items():
        write(PEAK_GRAPHS[arithmetic](_suiting_convolution()), path)
    there = deploy_built(device, files.values())
    macs_per_ns, macs_per_instruction = {}, {}
    for arithmetic, path in files.items():
        variant = Variant(arithmetic, arithmetic, there.files[path], "", path.stat().st_size)
        timed = profile_trial(device, there.runner, variant, PEAK_RUNS)
        most = max(range(len(timed)), key=lambda i: timed[i].macs)
        macs_per_ns[arithmetic] = timed[most].macs / min(timed[most].ns)
        counted = instructions_by_node(device, there.runner, variant, len(timed))
        if counted is not None:
            macs_per_instruction[arithmetic] = timed[most].macs / counted[most]
    return Peaks(macs_per_ns, macs_per_instruction, bandwidth_trial(device, there.runner, model_bytes))


def _suiting_convolution() -> Graph:
    """A float 1×1 convolution, x (1, *PIXELS, DEPTH) → y (1, *PIXELS, WIDTH)."""
    graph, f32 = Graph("peak"), np.dtype(np.float32)
    graph.tensors["x"] = Tensor("x", (1, *PIXELS, DEPTH), f32)
    graph.tensors["y"] = Tensor("y", None, f32)
    weights = np.random.default_rng(0).uniform(-1, 1, (WIDTH, 1, 1, DEPTH)).astype(np.float32)
    bias = np.zeros(WIDTH, np.float32)
    inputs = ["x", graph.add_const("weights", weights), graph.add_const("bias", bias)]
    graph.nodes.append(Node("Conv2D", "peak", inputs, ["y"], {}))
    graph.inputs, graph.outputs = ["x"], ["y"]
    return infer_shapes(graph.verify())


def _int8(graph: Graph) -> Graph:
    return int8.quantize(graph, {"x": Range(-1.0, 1.0), "y": Range(-32.0, 32.0)})


PEAK_GRAPHS: dict[str, Callable[[Graph], Graph]] = {
    "f32": lambda graph: graph,
    "f16": float16.convert,
    "hybrid": hybrid.quantize,
    "int8": _int8,
}
