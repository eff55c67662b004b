"""Measurements that the database could not take, one a line, until it can: nothing measured is lost.

Every change of the file happens under a lock on it, and whoever waited for the lock looks whether it is still
the same file. A measurement is stored at most once, because the database knows it by its identity: a replay
that is killed half-way is simply done again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from harness.database import Unavailable
from harness.errors import BenchError, UsageError
from harness.files import replacing
from harness.records import Entry, from_line, to_line
from harness.results import Measurement, RunRecord
from harness.text import clean


@dataclass
class Replayed:
    """What a replay did. waiting: lines that the database could not take now, for this reason.

    damaged: line number → why it can never be stored. These and the waiting lines stay in the file.
    """

    stored: int = 0
    waiting: int = 0
    reason: str = ""
    damaged: dict[int, str] = field(default_factory=dict)


class Spool:
    """The spool file of one database; it exists only while something waits in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: RunRecord, measurement: Measurement) -> None:
        """Adds a measurement and synchronizes it to the disk. UsageError where that fails."""
        line = to_line(Entry(record, measurement))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._locked(create=True) as file:
                file.seek(0, os.SEEK_END)
                if file.tell() and not _ends_line(file):
                    line = b"\n" + line  # a killed program left half a line; it must not spoil this one
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UsageError(f"cannot write {self.path}: {error.strerror}: a measurement is lost") from error

    def replay(self, store: Callable[[RunRecord, Measurement], object]) -> Replayed:
        """Stores every line and removes it; those that cannot be stored stay.

        store(run, measurement) may find the measurement stored already. Raises UsageError where the file
        cannot be read or written.
        """
        done = Replayed()
        try:
            if not self.path.exists():
                return done
            with self._locked(create=False) as file:
                kept = list(self._store_lines(file, store, done))
                if not kept:
                    self.path.unlink()
                elif done.stored:
                    with replacing(self.path) as temporary:
                        temporary.write_bytes(b"".join(kept))
        except FileNotFoundError:  # another program replayed it in the meantime
            return done
        except OSError as error:
            raise UsageError(f"cannot replay {self.path}: {error.strerror}") from error
        return done

    def _store_lines(
        self, file: BinaryIO, store: Callable[[RunRecord, Measurement], object], done: Replayed
    ) -> Iterator[bytes]:
        """Yields the lines that must stay."""
        for number, line in enumerate(file, 1):
            if done.waiting:
                done.waiting += 1
                yield line
                continue
            try:
                entry = from_line(line)
                store(entry.run, entry.measurement)
                done.stored += 1
            except Unavailable as error:
                done.waiting, done.reason = 1, str(error)
                yield line
            except BenchError as error:
                done.damaged[number] = clean(str(error))
                yield line

    @contextmanager
    def _locked(self, *, create: bool) -> Iterator[BinaryIO]:
        """The file, opened to read and write, with nobody else at it."""
        flags = os.O_RDWR | (os.O_CREAT if create else 0)
        while True:
            with os.fdopen(os.open(self.path, flags, 0o644), "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self._is_current(file):
                    yield file
                    return

    def _is_current(self, file: BinaryIO) -> bool:
        """Whether the opened file is still the one at the path: a replay removes or replaces it."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False


def _ends_line(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
