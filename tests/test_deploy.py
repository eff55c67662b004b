"""Deployment: only what is missing is sent, named by its content, and nothing unverified is left to run."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pytest

from devices import DeviceInfo
from harness.deploy import check_architecture, deploy
from harness.errors import DeviceError, UsageError


class MemoryDevice:
    """Keeps pushed files in memory; `damage` changes their content on the way."""

    def __init__(self, arch: str = "aarch64") -> None:
        self.arch = arch
        self.files: dict[str, bytes] = {}
        self.pushed: list[str] = []
        self.damage = lambda content: content

    def info(self) -> DeviceInfo:
        return DeviceInfo("board", "memory", self.arch, "cortex-a72", emulated=False)

    def push(self, local: Path, remote: str) -> None:
        self.pushed.append(remote)
        self.files[remote] = self.damage(local.read_bytes())

    def has(self, remote: str, sha256: str) -> bool:
        return remote in self.files and hashlib.sha256(self.files[remote]).hexdigest() == sha256


def elf(folder: Path, bits: int, machine: int) -> Path:
    path = folder / "bench-runner"
    path.write_bytes(b"\x7fELF" + bytes([bits, 1, 1]) + bytes(9) + struct.pack("<HH", 2, machine) + bytes(44))
    return path


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    return elf(tmp_path, 2, 183)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "net.qbm"
    path.write_bytes(b"QBMODEL\n" * 100)
    return path


def test_files_get_names_of_their_content(runner: Path, model: Path) -> None:
    device = MemoryDevice()
    deployed = deploy(device, runner, [model])
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    assert deployed.files == {model: digest[:16] + ".qbm"}
    assert deployed.runner == hashlib.sha256(runner.read_bytes()).hexdigest()[:16]
    assert deployed.sent_bytes == 64 + 800
    assert device.files[deployed.files[model]] == model.read_bytes()


def test_what_is_there_is_not_sent_again(runner: Path, model: Path) -> None:
    device = MemoryDevice()
    first = deploy(device, runner, [model])
    device.pushed.clear()
    second = deploy(device, runner, [model])
    assert device.pushed == []
    assert second.sent_bytes == 0
    assert (second.runner, second.files) == (first.runner, first.files)
    model.write_bytes(b"changed")
    third = deploy(device, runner, [model])
    assert device.pushed == [third.files[model]]
    assert third.sent_bytes == 7
    assert first.files[model] in device.files


def test_file_damaged_on_the_device_is_sent_again(runner: Path, model: Path) -> None:
    device = MemoryDevice()
    name = deploy(device, runner, [model]).files[model]
    device.files[name] = b"damaged"
    assert deploy(device, runner, [model]).sent_bytes == 800
    assert device.files[name] == model.read_bytes()


def test_file_that_does_not_arrive_whole_is_an_error(runner: Path, model: Path) -> None:
    device = MemoryDevice()
    device.damage = lambda content: content[:-1]
    with pytest.raises(DeviceError, match=r"device 'board': .*bench-runner did not arrive as it was sent"):
        deploy(device, runner, [model])


@pytest.mark.parametrize(
    ("arch", "bits", "machine", "said"),
    [
        ("aarch64", 2, 62, "is compiled for x86_64, but device 'board' is aarch64"),
        ("armv7", 2, 183, "is compiled for aarch64, but device 'board' is armv7"),
        ("x86_64", 1, 40, "is compiled for armv7, but device 'board' is x86_64"),
        ("aarch64", 2, 243, "is compiled for ELF machine 243, but device 'board' is aarch64"),
        ("aarch64", 1, 183, "is compiled for ELF machine 183, but device 'board' is aarch64"),
    ],
)
def test_wrong_architecture_is_refused_before_anything_is_sent(
    tmp_path: Path, arch: str, bits: int, machine: int, said: str
) -> None:
    device = MemoryDevice(arch)
    with pytest.raises(DeviceError, match=said):
        deploy(device, elf(tmp_path, bits, machine))
    assert device.pushed == []


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/bin/sh\nexit 0\n# and some more\n"])
def test_runner_that_is_no_elf_program_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bench-runner"
    path.write_bytes(content)
    with pytest.raises(DeviceError, match="is not an ELF program"):
        check_architecture(path, "aarch64", "board")


def test_missing_files_are_named(runner: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*absent\.qbm: No such file"):
        deploy(MemoryDevice(), runner, [tmp_path / "absent.qbm"])
    with pytest.raises(UsageError, match="cannot read .*absent: No such file"):
        deploy(MemoryDevice(), tmp_path / "absent")
