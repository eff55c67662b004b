"""Puts the runner and its files on a device, under names made of their content.

A file that is already there with the right content is not sent again, and nothing runs that does not have the
hash it was sent with. A name always means the same content, so two harnesses can share a device.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from devices import Device
from harness.errors import DeviceError, UsageError

# ELF header: e_ident[EI_CLASS] and e_machine of what build.py compiles (System V ABI, figure 4-4).
ELF_MACHINES = {"aarch64": (2, 183), "armv7": (1, 40), "x86_64": (2, 62)}
NAME_DIGITS = 16


@dataclass(frozen=True)
class Deployed:
    """Names on the device; `files` by their local path. sent_bytes: of what was not there yet."""

    runner: str
    files: dict[Path, str]
    sent_bytes: int


def deploy(device: Device, runner: Path, files: Iterable[Path] = ()) -> Deployed:
    """Pushes the runner and the model and dataset files, as far as the device lacks them.

    Raises UsageError for a file that cannot be read, DeviceError for a runner of another architecture and for
    a file that does not arrive as it was sent.
    """
    info = device.info()
    check_architecture(runner, info.arch, info.name)
    names, sent = {}, 0
    for path in (runner, *files):
        digest = _sha256(path)
        names[path] = f"{digest[:NAME_DIGITS]}{path.suffix}"
        if device.has(names[path], digest):
            continue
        device.push(path, names[path])
        if not device.has(names[path], digest):
            raise DeviceError(
                f"device '{info.name}': {path} did not arrive as it was sent (SHA-256 differs): "
                "check the device's storage and run again"
            )
        sent += path.stat().st_size
    return Deployed(names.pop(runner), names, sent)


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
