"""This machine itself.

[local]
transport = "local"
"""

from __future__ import annotations

from devices import DeviceInfo, Entry
from devices._host import HostDevice, cpu_name, host_facts
from harness.compiler import host_arch


class LocalDevice(HostDevice):
    def info(self) -> DeviceInfo:
        return DeviceInfo(self.name, "local", host_arch(), cpu_name(), emulated=False, facts=host_facts())

    def count_instructions(self, argv: list[str], timeout: float) -> None:
        return None  # hardware counters are not open to every user, and not the same on every run


def open(entry: Entry) -> LocalDevice:
    entry.only()
    return LocalDevice(entry.name)
