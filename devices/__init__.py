"""Target devices: one file per transport, one narrow protocol, one registry.

A device is a name in `devices.toml` (or the user's own file, merged over it) with a `transport`; the transport
`qemu` is the module `devices/qemu.py` and its `open(name, entry)` function. Nothing else lists transports.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class RunResult:
    """What a command on the device left behind.

    exit_code: None when it died of `signal` (a name such as "SIGSEGV"). stdout and stderr are bytes because
    device output is hostile until parsed; `truncated` says that the byte cap cut it. wall_s: host seconds.
    """

    exit_code: int | None
    stdout: bytes
    stderr: bytes
    signal: str | None = None
    truncated: bool = False
    wall_s: float = 0.0


@dataclass(frozen=True)
class DeviceInfo:
    """Facts that decide what can run and what may be compared.

    arch: "aarch64", "armv7" or "x86_64" (what `build` compiles for). cpu: the core's name where known. facts: free-form
    strings for the record, such as kernel, emulator version, governor.
    """

    name: str
    transport: str
    arch: str
    cpu: str
    emulated: bool
    facts: dict[str, str] = field(default_factory=dict)


class Device(Protocol):
    """What every transport offers; everything above it is the same for all of them."""

    def info(self) -> DeviceInfo:
        """Detected, not configured. Raises DeviceError where the device cannot be reached."""

    def push(self, local: Path, remote: str) -> None:
        """Copies a file to `remote`, a path relative to the device's work folder, whole or not at all."""

    def pull(self, remote: str, local: Path) -> None:
        """Copies a file from the device's work folder, whole or not at all."""

    def run(self, argv: list[str], timeout: float, *, env: dict[str, str] | None = None) -> RunResult:
        """Runs argv in the work folder, its first word a program pushed there; kills its process group at the deadline.

        A deadline missed raises DeviceError. A non-zero exit or a signal does not: the caller judges it.
        """

    def has(self, remote: str, sha256: str) -> bool:
        """Whether the work folder holds this file with exactly this content."""

    def count_instructions(self, argv: list[str], timeout: float) -> int | None:
        """Guest instructions that running argv takes, None where the device cannot count them."""

    def close(self) -> None:
        """Gives up the connection; the work folder and its content-addressed files stay."""
