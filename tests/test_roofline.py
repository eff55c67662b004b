"""Verdicts against hand-made peaks, and peaks measured on this machine and in the emulator."""

from __future__ import annotations

from contextlib import closing

import pytest

from devices import open_device
from harness.deploy import deploy_built
from harness.errors import DeviceError
from harness.pack import write
from harness.quantize import hybrid
from harness.results import Variant
from harness.roofline import Peaks, bound, measure_peaks, verdict
from harness.runner_events import NodeTime
from harness.trial import instructions_by_node, instructions_per_inference, profile_trial
from tests.support.graphs import small_network

PEAKS = Peaks({"int8": 10.0}, {}, bandwidth=5.0)


def node(macs: int, size: int, ns: int, arithmetic: str = "int8") -> NodeTime:
    return NodeTime(0, "n", "CONV_2D", arithmetic, "k", macs, size, (ns, ns, ns))


@pytest.mark.parametrize(
    ("layer", "least", "limit"),
    [
        (node(1000, 100, 200), (100.0, "compute"), "compute"),
        (node(1000, 1000, 400), (200.0, "memory"), "memory"),
        (node(1000, 1000, 601), (200.0, "memory"), "overhead"),
        (node(0, 1000, 300), (200.0, "memory"), "memory"),
        (node(0, 1000, 300, "f32"), (200.0, "memory"), "memory"),
        (node(0, 1000, 0), (200.0, "memory"), None),
        (node(1000, 1000, 400, "int16"), None, None),
    ],
)
def test_verdicts(layer, least, limit):
    assert bound(layer, PEAKS) == least
    assert verdict(layer, PEAKS) == limit


def profiled(name: str, folder, graph):
    """(device, its runner, the deployed graph) of a device by name."""
    try:
        device = open_device(name)
    except DeviceError as error:
        pytest.skip(str(error))
    model = folder / "model.qbm"
    write(graph, model)
    there = deploy_built(device, [model])
    return device, there.runner, Variant("v", "", there.files[model], "", model.stat().st_size)


def test_peaks_of_this_machine(tmp_path):
    device, runner, variant = profiled("local", tmp_path, hybrid.quantize(small_network()))
    with closing(device):
        nodes = profile_trial(device, runner, variant, 3)
        peaks = measure_peaks(device, nodes, variant.size_bytes, tmp_path)
    assert peaks.macs_per_ns.keys() == {"hybrid"}
    assert 0.01 < peaks.macs_per_ns["hybrid"] < 10_000
    assert peaks.macs_per_instruction == {}
    assert 0.01 < peaks.bandwidth < 10_000
    assert {verdict(node, peaks) for node in nodes} <= {"compute", "memory", "overhead", None}


def test_the_nodes_instructions_make_up_the_inference(tmp_path):
    device, runner, variant = profiled("qemu", tmp_path, small_network())
    with closing(device):
        whole = instructions_per_inference(device, runner, variant)
        if whole is None:
            pytest.skip("this QEMU cannot count instructions")
        nodes = instructions_by_node(device, runner, variant, 7)
    assert min(nodes) > 0
    assert 0 <= whole - sum(nodes) < 1000  # copying the input in, and the loop over the nodes
