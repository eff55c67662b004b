"""Real processes of ours and of LiteRT on a tiny network, and both in the emulator."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks import arm, contenders
from benchmarks.contenders import Contender
from harness import build
from harness.errors import DeviceError, TrialError
from harness.exporters import tflite
from tests.support.graphs import small_network


@dataclass(frozen=True)
class Tiny:
    """Stands for a Network: every file is the same small float one."""

    name: str
    path: Path

    def file(self, suffix: str) -> Path:
        return self.path


@pytest.fixture
def tiny(tmp_path) -> Tiny:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tflite.write(small_network()))
    return Tiny("tiny", path)


@pytest.mark.skipif(build.host_arch() != "x86_64", reason="needs an x86-64 machine")
@pytest.mark.parametrize("engine", [contenders.OURS, "litert"])
def test_one_process(engine, tiny):
    core = max(os.sched_getaffinity(0))
    found = contenders.measure(Contender(engine, "f32", "f32.tflite", "native"), tiny, core, 3, 1)
    assert len(found["ns"]) >= 3
    assert min(found["ns"]) > 0
    assert 0 < found["cold_ns"] < 10**9
    assert 0 < found["load_ns"] < 10**10
    assert 0 <= found["resident_kb"] < found["vm_hwm_kb"] < 10**6


def test_a_peer_that_fails_is_named(tiny):
    tiny.path.write_bytes(b"no network")
    with pytest.raises(TrialError, match="litert f32.tflite native on tiny: "):
        contenders.measure(Contender("litert", "f32", "f32.tflite", "native"), tiny, 0, 1, 1)


def test_our_instructions(tiny):
    try:
        counted = [arm.ours(device, tiny.path) for device in arm.DEVICES]
    except DeviceError as error:
        pytest.skip(str(error))
    assert all(10_000 < count < 1_000_000 for count in counted)


@pytest.mark.slow  # downloads an AArch64 Python and LiteRT, 50 MB
def test_litert_instructions(tiny):
    counted = [arm.litert(device, tiny.path) for device in arm.DEVICES]
    assert all(10_000 < count < 1_000_000 for count in counted)
