"""Deployment: only what is missing is sent, named by its content, and nothing unverified is left to run."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pytest

from devices import DeviceInfo, StoredFile
from harness.deploy import Depot, check_architecture, clean, deploy
from harness.errors import DeviceError, UsageError


class MemoryDevice:
    """Keeps pushed files in memory; `damage` changes their content on the way."""

    def __init__(self, arch: str = "aarch64") -> None:
        self.arch = arch
        self.contents: dict[str, bytes] = {}
        self.used: list[str] = []  # names, last used last
        self.disk = 1 << 40
        self.pushed: list[str] = []
        self.damage = lambda content: content

    def info(self) -> DeviceInfo:
        return DeviceInfo("board", "memory", self.arch, "cortex-a72", emulated=False)

    def push(self, local: Path, remote: str) -> None:
        self.pushed.append(remote)
        self.contents[remote] = self.damage(local.read_bytes())

    def has(self, remote: str, sha256: str) -> bool:
        self.used.append(remote)
        return remote in self.contents and hashlib.sha256(self.contents[remote]).hexdigest() == sha256

    def files(self) -> list[StoredFile]:
        last = {name: when for when, name in enumerate(self.used)}
        return [StoredFile(n, len(content), last.get(n, -1)) for n, content in self.contents.items()]

    def remove(self, names: list[str]) -> None:
        for name in names:
            del self.contents[name]

    def free_bytes(self) -> int | None:
        return self.disk - sum(map(len, self.contents.values()))


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
    assert device.contents[deployed.files[model]] == model.read_bytes()


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
    assert first.files[model] in device.contents


def test_file_damaged_on_the_device_is_sent_again(runner: Path, model: Path) -> None:
    device = MemoryDevice()
    name = deploy(device, runner, [model]).files[model]
    device.contents[name] = b"damaged"
    assert deploy(device, runner, [model]).sent_bytes == 800
    assert device.contents[name] == model.read_bytes()


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


# --- room ---

MARGIN = 16 << 20


def numbered(folder: Path, count: int, size: int = 1000) -> list[Path]:
    paths = [folder / f"{i}.qbd" for i in range(count)]
    for i, path in enumerate(paths):
        path.write_bytes(bytes([i]) * size)
    return paths


def test_what_was_not_used_for_longest_makes_room_under_the_cap(tmp_path: Path) -> None:
    device, (a, b, c, d) = MemoryDevice(), numbered(tmp_path, 4)
    device.contents["notes.txt"] = b"not ours" * 1000
    first = Depot(device, cap_bytes=3000)
    names = [first.place(path, pin=False) for path in (a, b, c)]
    Depot(device).place(a)
    fourth = Depot(device, cap_bytes=3000).place(d)
    assert set(device.contents) == {"notes.txt", names[0], names[2], fourth}
    assert first.sent_bytes == 3000


def test_pinned_files_stay_and_streamed_ones_take_turns(tmp_path: Path) -> None:
    device, (model, *shards) = MemoryDevice(), numbered(tmp_path, 6)
    device.disk = MARGIN + 3000
    depot = Depot(device)
    pinned = depot.place(model)
    for _ in range(2):
        for shard in shards:
            name = depot.place(shard, pin=False)
            assert {pinned, name} <= set(device.contents)
            assert device.free_bytes() >= MARGIN
    assert depot.sent_bytes == 1000 + 10 * 1000  # all shards come by again for each who needs them


def test_a_file_that_cannot_fit_is_refused_and_nothing_is_removed(tmp_path: Path) -> None:
    device, (small, other) = MemoryDevice(), numbered(tmp_path, 2)
    device.disk = MARGIN + 2000
    depot = Depot(device)
    depot.place(small, pin=False)
    other.write_bytes(bytes(5000))
    before = dict(device.contents)
    with pytest.raises(DeviceError, match=r"device 'board': \w+\.qbd takes 5,000 bytes, and .* are free"):
        depot.place(other)
    assert device.contents == before


def test_a_second_use_sends_nothing(tmp_path: Path) -> None:
    device, paths = MemoryDevice(), numbered(tmp_path, 3)
    for path in paths:
        Depot(device).place(path)
    again = Depot(device)
    for path in paths:
        again.place(path)
    assert again.sent_bytes == 0


def test_cleaning_removes_ours_only(tmp_path: Path, runner: Path) -> None:
    device = MemoryDevice()
    device.contents["notes.txt"] = b"x"
    for path in (runner, *numbered(tmp_path, 2)):
        Depot(device).place(path)
    assert clean(device) == 64 + 2000
    assert set(device.contents) == {"notes.txt"}
