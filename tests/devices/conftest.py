"""Devices with an empty work folder, and a program to run on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from devices import Device, open_device
from harness import compiler
from harness.build import TARGETS
from harness.errors import DeviceError

PROBE = Path(__file__).parent.parent / "support" / "probe.c"


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """probe(arch): support/probe.c as a static program for arch."""
    folder = tmp_path_factory.mktemp("probe")

    def compiled(arch: str) -> Path:
        binary = folder / f"probe-{arch}"
        if not binary.is_file():
            flags = ["-target", TARGETS[arch], "-static", "-O1", "-fno-sanitize=undefined", "-Wno-everything"]
            compiler.cc([*flags, str(PROBE), "-o", str(binary)], folder, "compiling the probe")
        return binary

    return compiled


@pytest.fixture
def on_device(probe: Callable[[str], Path], fresh_cache: Path) -> Callable[[str], Device]:
    """on_device(name): the device with the probe pushed as `probe`; skips where its QEMU is missing."""

    def opened(name: str) -> Device:
        try:
            device = open_device(name)
        except DeviceError as error:
            pytest.skip(str(error))
        device.push(probe(device.info().arch), "probe")
        return device

    return opened
