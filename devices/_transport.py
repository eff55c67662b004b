"""What a remote device needs from ssh or adb: commands out, two streams back, files both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from devices._process import OUTPUT_CAP

LOST_S = 20  # without a sign of life from the controller, the device ends what it runs
BEAT_S = 5.0  # between two signs of life: empty lines on the command's standard input
TAIL_BYTES = 4096  # kept of a stream's end, whatever the cap: a command's last line is there


class Stream:
    """What arrived of an output stream: the first `cap` bytes and the last few."""

    def __init__(self, cap: int = OUTPUT_CAP) -> None:
        self._cap = cap
        self._head = bytearray()
        self._tail = b""
        self.truncated = False

    def add(self, chunk: bytes) -> None:
        room = self._cap - len(self._head)
        self._head += chunk[:room]
        self.truncated |= len(chunk) > room
        self._tail = (self._tail + chunk)[-TAIL_BYTES:]

    def content(self) -> bytes:
        """What was kept from the beginning."""
        return bytes(self._head)

    def without_last_line(self) -> tuple[bytes, bytes]:
        """The content, and its last line without the line ends around it; empty where that is not whole."""
        _, separator, line = self._tail.removesuffix(b"\n").rpartition(b"\n")
        if not separator or not self._tail.endswith(b"\n"):
            return self.content(), b""
        whole = len(self._head) if self.truncated else len(self._head) - len(line) - 2
        return bytes(self._head[:whole]), line


class Transport(Protocol):
    """How bytes get to a device and back. A path there is absolute, or begins where its shell does.

    All raise ConnectionLost, within a bounded time, where the connection breaks off or the device no longer
    answers, and DeviceError for everything else that goes wrong.
    """

    def connect(self) -> None:
        """Connects, anew where there is or was a connection."""

    def execute(self, command: str, wall_s: float, idle_s: float | None = None) -> tuple[Stream, Stream]:
        """Standard output and error of a command line for the device's shell, both read as they come.

        The command's standard input stays open, with an empty line every BEAT_S, and is closed when this
        raises. DeadlineError: it has not ended after wall_s, or has said nothing for idle_s.
        """

    def upload(self, local: Path, remote: str) -> None:
        """Writes a file as it comes: a part of it may be there when this raises."""

    def download(self, remote: str, local: Path) -> None:
        """Reads a file."""

    def close(self) -> None:
        """Gives up the connection."""
