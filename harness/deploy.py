"""Puts the runner and its files on a device, under names made of their content.

A file that is already there with the right content is not sent again, and nothing runs that does not have
the hash it was sent with. A name always means the same content, so two harnesses can share a device. Where
room is short, or the files together exceed a cap, those go first that were not used for longest.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from devices import Device, DeviceInfo
from harness import build
from harness.errors import DeviceError, UsageError

# ELF header: e_ident[EI_CLASS] and e_machine of what build.py compiles (System V ABI, figure 4-4).
ELF_MACHINES = {"aarch64": (2, 183), "armv7": (1, 40), "x86_64": (2, 62)}
NAME_DIGITS = 16
DEPLOYED = re.compile(rf"[0-9a-f]{{{NAME_DIGITS}}}(\.qb[md])?")  # of our files in a work folder
CAP_BYTES = 2 << 30  # of all our files on a device
MARGIN_BYTES = 16 << 20  # of a device's disk that is left free


@dataclass(frozen=True)
class Deployed:
    """What the device said of itself, and names there; `files` by their local path.

    sent_bytes: of what was not there yet.
    """

    info: DeviceInfo
    runner: str
    files: dict[Path, str]
    sent_bytes: int


class Depot:
    """Our files on one device, for the owner of its lease: only that one may remove any.

    sent_bytes: of all that `place` found missing.
    """

    def __init__(self, device: Device, cap_bytes: int = CAP_BYTES) -> None:
        self._device = device
        self._cap_bytes = cap_bytes
        self._pinned: set[str] = set()
        self._digests: dict[Path, str] = {}
        self.sent_bytes = 0

    def place(self, path: Path, *, pin: bool = True) -> str:
        """The file's name on the device, where it is now with the right content.

        A file that is not pinned may have to make room for a later one. Raises UsageError for a file that
        cannot be read, DeviceError where it does not fit or does not arrive as it was sent.
        """
        if path not in self._digests:
            self._digests[path] = _sha256(path)
        digest = self._digests[path]
        name = _name(path, digest)
        if pin:
            self._pinned.add(name)
        if not self._device.has(name, digest):
            size = path.stat().st_size
            self._make_room(name, size)
            _send(self._device, path, name, digest)
            self.sent_bytes += size
        return name

    def _make_room(self, name: str, size: int) -> None:
        """Removes what was not used for longest, so that `size` bytes fit on the disk and under the cap."""
        stored = [file for file in self._device.files() if DEPLOYED.fullmatch(file.name)]
        free = self._device.free_bytes()
        too_little = 0 if free is None else max(0, size + MARGIN_BYTES - free)
        excess = max(too_little, sum(file.size for file in stored) + size - self._cap_bytes)
        removed: list[str] = []
        gained = 0
        for file in sorted(stored, key=lambda file: file.used_s):
            if gained >= excess:
                break
            if file.name not in self._pinned:
                removed.append(file.name)
                gained += file.size
        if gained < too_little:
            raise DeviceError(
                f"device '{self._device.info().name}': {name} takes {size:,} bytes, and {free:,} are free: "
                "remove something there"
            )
        if removed:
            self._device.remove(removed)


def deploy(device: Device, runner: Path, files: Iterable[Path] = ()) -> Deployed:
    """Pushes the runner and the model and dataset files, as far as the device lacks them; removes nothing.

    Raises UsageError for a file that cannot be read, DeviceError for a runner of another architecture and for
    a file that does not arrive as it was sent.
    """
    return _deploy(device, device.info(), runner, files)


def deploy_built(
    device: Device, files: Iterable[Path] = (), progress: Callable[[str], None] | None = None
) -> Deployed:
    """`deploy` of the runner for the device's architecture, built first where the cache lacks it."""
    info = device.info()
    return _deploy(device, info, build.runner(info.arch, progress), files)


def _deploy(device: Device, info: DeviceInfo, runner: Path, files: Iterable[Path]) -> Deployed:
    check_architecture(runner, info.arch, info.name)
    names, sent = {}, 0
    for path in (runner, *files):
        digest = _sha256(path)
        names[path] = _name(path, digest)
        if not device.has(names[path], digest):
            _send(device, path, names[path], digest)
            sent += path.stat().st_size
    return Deployed(info, names.pop(runner), names, sent)


def clean(device: Device) -> int:
    """Removes all of our files from a device; returns how many bytes that were."""
    ours = [file for file in device.files() if DEPLOYED.fullmatch(file.name)]
    device.remove([file.name for file in ours])
    return sum(file.size for file in ours)


def check_architecture(binary: Path, arch: str, device: str) -> None:
    """Raises DeviceError unless `binary` is an executable ELF file for `arch`."""
    header = _read_start(binary, 20)
    if len(header) < 20 or header[:4] != b"\x7fELF":
        raise DeviceError(f"{binary} is not an ELF program: it cannot run on device '{device}'")
    found = (header[4], struct.unpack_from("<H", header, 18)[0])
    if found != ELF_MACHINES[arch]:
        names = {machine: name for name, machine in ELF_MACHINES.items()}
        what = names.get(found, f"ELF machine {found[1]}")
        raise DeviceError(f"{binary} is compiled for {what}, but device '{device}' is {arch}")


def _name(path: Path, digest: str) -> str:
    return f"{digest[:NAME_DIGITS]}{path.suffix}"


def _send(device: Device, path: Path, name: str, digest: str) -> None:
    device.push(path, name)
    if not device.has(name, digest):
        raise DeviceError(
            f"device '{device.info().name}': {path} did not arrive as it was sent (SHA-256 differs): "
            "check the device's storage and run again"
        )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def _read_start(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
