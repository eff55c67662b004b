"""This machine itself.

[local]
transport = "local"
"""

from __future__ import annotations

import os

from devices import DeviceInfo, Entry, _process
from devices._facts import SCRIPT, describe, read_facts
from devices._host import HostDevice

FACTS_S = 60


class LocalDevice(HostDevice):
    def info(self) -> DeviceInfo:
        said = _process.run(
            ["sh", str(SCRIPT), "facts", str(self.folder)],
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            timeout=FACTS_S,
        )
        return describe(self.name, "local", read_facts(said.stdout), emulated=False)

    def count_instructions(self, argv: list[str], timeout: float) -> None:
        return None  # hardware counters are not open to every user, and not the same on every run


def open(entry: Entry) -> LocalDevice:
    entry.only()
    return LocalDevice(entry.name)
