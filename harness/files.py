"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path to write; then synchronizes it to the disk and renames it to `path`.

    A reader sees the old file or the new one, whole. Two processes may do this at once: the last one's file
    stays. Nothing is left when the block raises.
    """
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as work:
        temporary = Path(work) / path.name
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)


def leads_out(name: str) -> bool:
    """Whether a path that comes from outside could name a place that is not below the folder it is put in.

    Separators and drives of every system count; symbolic links are not looked at.
    """
    path = PureWindowsPath(name)
    return bool(path.anchor) or ".." in path.parts
