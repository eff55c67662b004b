"""A Raspberry Pi made of packages: Debian's arm64 kernel and OpenSSH in QEMU, reached like any Pi over SSH.

    [virtual-pi4]
    transport = "virtual_pi"
    cpu = "cortex-a72"      # or cortex-a76, a Pi 5's
    cores = 1               # more of them boot more slowly
    memory_mb = 1024
    disk_mb = 2048
    snapshot = true         # the disk is as new at each boot; false keeps what was written
    icount = false          # true: the clock counts instructions, and times repeat within 0.01 %
    fake_pi = false         # true: writable look-alikes of cpufreq, thermal sensors and vcgencmd
    user = "pi"             # or root
    cool_c = 60             # a trial begins when it is no hotter

It boots when it is opened (3 s) and is gone when it is closed, or when the process that opened it dies.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace

from devices import DeviceInfo, Entry, _guest, _guest_image
from devices._guest import Guest, Machine
from devices._remote import RemoteDevice
from devices.ssh import FOLDER, Address, SshTransport
from harness.errors import DeviceError

SETTINGS = ("cpu", "cores", "memory_mb", "disk_mb", "snapshot", "icount", "fake_pi", "user", "cool_c")
CPUS = ("cortex-a53", "cortex-a57", "cortex-a72", "cortex-a76")
USERS = ("pi", "root")


class VirtualPi(RemoteDevice):
    """guest: the machine itself, for what cannot be done to it from inside."""

    def __init__(
        self, name: str, guest: Guest, transport: SshTransport, settings: dict[str, str], *, keeps: bool
    ) -> None:
        self.guest = guest
        self._keeps = keeps
        super().__init__(name, "virtual_pi", transport, FOLDER, emulated=True, settings=settings)

    def info(self) -> DeviceInfo:
        info = super().info()
        return replace(info, facts=info.facts | {"emulator": f"qemu {_guest.version()}, whole system"})

    def close(self) -> None:
        if self._keeps:
            with contextlib.suppress(DeviceError):
                self.shell("sync")
        super().close()
        self.guest.close()


def open(entry: Entry) -> VirtualPi:
    entry.only(*SETTINGS)
    machine = Machine(
        cpu=_one_of(entry, "cpu", CPUS),
        cores=entry.number("cores", 1),
        memory_mb=entry.number("memory_mb", 1024),
        icount=entry.flag("icount", False),
        snapshot=entry.flag("snapshot", True),
        fake_pi=entry.flag("fake_pi", False),
    )
    if machine.icount and machine.cores > 1:
        raise entry.wrong("with 'icount' it has one core")
    user, disk_mb = _one_of(entry, "user", USERS), entry.number("disk_mb", 2048)
    settings = entry.trial_facts()
    try:
        image = _guest_image.provide(disk_mb, _tell, None if machine.snapshot else entry.name)
        guest = Guest(image, machine)
    except DeviceError as error:
        raise DeviceError(f"device '{entry.name}': {error}") from error
    at = Address("127.0.0.1", user, guest.port, str(image.user_key), image.host_key)
    try:
        return VirtualPi(entry.name, guest, SshTransport(at), settings, keeps=not machine.snapshot)
    except BaseException:
        guest.close()
        raise


def _one_of(entry: Entry, key: str, known: tuple[str, ...]) -> str:
    value = entry.text(key, known[0] if key == "user" else None)
    if value not in known:
        raise entry.wrong(f"'{key}' must be {' or '.join(known)}, not '{value}'")
    return value


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # only where something is downloaded or built, once
