"""Devices at work at the same time: as many as there are machines under them.

    local, qemu, virtual-pi4     share this machine: one after the other, or they would slow each other down
    pi4 │ pixel                  each its own: beside the others

What they measure is handed to the caller's thread, which alone writes to the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

from devices import DeviceInfo

T = TypeVar("T")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
HERE = "this machine"


def machines(infos: Iterable[DeviceInfo]) -> list[list[str]]:
    """Names of devices by the machine they run on, both in the order given."""
    groups: dict[str, list[str]] = {}
    for info in infos:
        groups.setdefault(HERE if _is_here(info) else info.name, []).append(info.name)
    return list(groups.values())


def _is_here(info: DeviceInfo) -> bool:
    """This machine itself, an emulator on it, or its own SSH server."""
    own_boot = BOOT_ID.read_text().strip() if BOOT_ID.is_file() else None
    return info.emulated or info.transport == "local" or (own_boot and info.facts.get("boot_id") == own_boot)


def results(groups: Sequence[Sequence[str]], work: Callable[[str], Iterator[T]]) -> Iterator[T]:
    """What `work(name)` yields for every name, as it comes; the names of a group one after the other.

    Where `work` raises, the rest of its group is left out; the other groups end, and then the first error is
    raised. The threads do not keep an interrupted process alive.
    """
    if len(groups) == 1:
        for name in groups[0]:
            yield from work(name)
        return
    queue: SimpleQueue = SimpleQueue()

    def run(group: Sequence[str]) -> None:
        try:
            for name in group:
                for result in work(name):
                    queue.put((result, None))
        except BaseException as error:  # noqa: BLE001 (raised again in the caller's thread)
            queue.put((None, error))
        finally:
            queue.put(None)

    for group in groups:
        Thread(target=run, args=(group,), name=group[0], daemon=True).start()
    running, first = len(groups), None
    while running:
        said = queue.get()
        if said is None:
            running -= 1
        elif said[1] is not None:
            first = first or said[1]
        else:
            yield said[0]
    if first is not None:
        raise first
