"""Devices with an empty work folder, and a program to run on them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devices import Device, Entry, open_device, virtual_pi
from devices._remote import RemoteDevice
from devices.virtual_pi import VirtualPi
from harness import compiler
from harness.build import TARGETS
from harness.compiler import host_arch
from harness.errors import DeviceError
from tests.support.shell_transport import SYSTEMS, Remote, ShellTransport
from tests.support.sshd import free_port

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


@pytest.fixture(scope="session")
def adb_server() -> Iterator[int]:
    """The port of an adb server of the tests' own, which is ended with them."""
    if not shutil.which("adb"):
        pytest.skip("needs adb: apt-get install adb")
    port = free_port()
    yield port
    subprocess.run(["adb", "-P", str(port), "kill-server"], check=False, capture_output=True)


def virtual_pi_entry(**settings: object) -> Entry:
    return Entry("pi", {"cpu": "cortex-a72"} | settings, Path("devices.toml"))


@pytest.fixture(scope="session")
def small(probe: Callable[[str], Path]) -> Iterator[VirtualPi]:
    """A guest with little disk and memory and the look-alikes of a board, shared by all; with the probe."""
    try:
        device = virtual_pi.open(virtual_pi_entry(disk_mb=128, memory_mb=192, fake_pi=True))
    except DeviceError as error:
        pytest.skip(str(error))
    device.push(probe("aarch64"), "probe")
    yield device
    device.close()


@pytest.fixture(params=SYSTEMS)
def remote(request: pytest.FixtureRequest, tmp_path: Path, probe: Callable[[str], Path]) -> Iterator[Remote]:
    """A device with the probe, and its transport."""
    folder = tmp_path / "a device's $HOME"
    folder.mkdir()
    transport = ShellTransport(folder, request.param)
    device = RemoteDevice("board", "shell", transport, "work folder")
    device.push(probe(host_arch()), "probe")
    yield device, transport
    device.reap()
    device.close()
