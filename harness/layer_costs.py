"""What every node of a network takes on a device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devices import Device
from harness import build, lease
from harness.deploy import deploy_built
from harness.errors import DeviceError
from harness.graph import Graph
from harness.pack import write
from harness.results import Variant
from harness.runner_events import NodeTime
from harness.trial import Progress, instructions_by_node, profile_trial

RUNS = 50  # enough that each node has a run which nothing disturbed


def profile(
    device: Device, model: Path, runs: int, progress: Progress
) -> tuple[list[NodeTime], list[int] | None]:
    """The nodes of a packed model, timed, and the instructions of each where the device is emulated.

    Raises DeviceError and TrialError.
    """
    there = deploy_built(device, [model], lambda text: progress(text, 0, 0))
    info = there.info
    variant = Variant("profile", "", there.files[model], "", model.stat().st_size)
    nodes = profile_trial(device, there.runner, variant, 1 if info.emulated else runs)
    instructions = instructions_by_node(device, there.runner, variant, len(nodes))
    if info.emulated and instructions is None:
        raise DeviceError(
            f"device '{info.name}': this QEMU cannot count instructions, and its times mean nothing: "
            "install a QEMU of version 7 or newer with plugins"
        )
    return nodes, instructions


@dataclass(frozen=True)
class Meter:
    """Measures nodes on one device. wait_s: how long to wait for it while somebody else has it."""

    device: Device
    wait_s: float = 0.0

    @property
    def identity(self) -> list[str]:
        """What decides the costs: they are measured anew where it changed."""
        info = self.device.info()
        return [info.name, info.cpu, build.runner_sha256(info.arch)]

    def costs(self, graph: Graph, work: Path, progress: Progress) -> dict[str, float]:
        """By the node's name: instructions where the device is emulated, else the least nanoseconds of RUNS.

        work: a folder for files in between. Raises DeviceError and TrialError.
        """
        model = work / "costs.qbm"
        write(graph, model)
        with lease.for_measuring(self.device, self.wait_s, progress) as owned:
            progress("measuring what layers cost", 0, 0)
            nodes, instructions = profile(owned, model, RUNS, progress)
        found = instructions or [min(node.ns) for node in nodes]
        return dict(zip((node.name for node in graph.execution_order()), found, strict=True))
