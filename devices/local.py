"""This machine itself.

[local]
transport = "local"
"""

from __future__ import annotations

import os

from devices import DeviceInfo, Entry, _process
from devices._facts import SCRIPT, describe, read_facts, read_state
from devices._host import HostDevice

FACTS_S = 60


class LocalDevice(HostDevice):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.push(SCRIPT, SCRIPT.name)

    def info(self) -> DeviceInfo:
        return describe(self.name, "local", self._ask("facts"), emulated=False)

    def state(self) -> dict[str, str]:
        return read_state(self._ask("state"))

    def hold_governor(self) -> None:
        self._ask("hold_governor")

    def restore_governor(self) -> None:
        self._ask("restore_governor")

    def _ask(self, *words: str) -> dict[str, list[str]]:
        """Runs a part of remote.sh."""
        kept = {key: os.environ[key] for key in ("PATH", "QB_SYS") if key in os.environ}
        argv = ["sh", str(self.folder / SCRIPT.name), *words]
        return read_facts(_process.run(argv, cwd=self.folder, env=kept, timeout=FACTS_S).stdout)

    def count_instructions(self, argv: list[str], timeout: float) -> None:
        return None  # hardware counters are not open to every user, and not the same on every run


def open(entry: Entry) -> LocalDevice:
    entry.only()
    return LocalDevice(entry.name)
