"""One member out of an archive (.tar, .tar.gz, .zip) that may be hostile.

Only the bytes of the wanted member are written, to a path of the caller's, so no name or link inside an
archive decides where anything goes. An archive is refused all the same where a name leads out of it, where
the wanted member is not one plain file, or where all of it together would be too large.
"""

from __future__ import annotations

import gzip
import posixpath
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from harness.errors import FormatError
from harness.files import leads_out
from harness.text import clean

LARGEST = 4 << 30  # bytes of all members together, unpacked
MOST_MEMBERS = 10_000
CHUNK = 1 << 16
DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, OverflowError, OSError),
    RuntimeError,  # encrypted, packed by an unknown method, nested too deeply
)
GZIP, ZIP, TAR, TAR_AT = b"\x1f\x8b", b"PK\x03\x04", b"ustar", 257


def is_archive(path: Path) -> bool:
    """Whether the file begins as an archive that can be read here."""
    with path.open("rb") as stream:
        head = stream.read(TAR_AT + len(TAR))
    return head.startswith((GZIP, ZIP)) or head[TAR_AT:] == TAR


def extract(archive: Path, member: str, to: Path) -> None:
    """Writes the archive's file `member` (the last part of its path, or all of it) to `to`.

    Raises FormatError naming the archive where it is damaged or hostile, or has no such file.
    """
    with archive.open("rb") as stream:
        magic = stream.read(len(ZIP))
    try:
        with to.open("wb") as target:
            if magic == ZIP:
                _from_zip(archive, member, target)
            else:
                _from_tar(archive, member, target, gzip.open if magic.startswith(GZIP) else open)
    except DAMAGED as error:
        raise FormatError(f"{archive}: cannot be unpacked: {error}") from error


def _from_zip(archive: Path, member: str, target: BinaryIO) -> None:
    with zipfile.ZipFile(archive) as content:
        check = _Check(archive, member)
        wanted = [info for info in content.infolist() if check(info.filename, info.file_size)]
        check.found(len(wanted))
        if wanted[0].is_dir() or stat.S_ISLNK(wanted[0].external_attr >> 16):
            raise FormatError(f"{archive}: '{member}' is not a plain file")
        with content.open(wanted[0]) as source:
            _copy(source, target)


def _from_tar(archive: Path, member: str, target: BinaryIO, opener: Callable) -> None:
    """Reads to the very end, where a compressed stream has its checksum."""
    check, found = _Check(archive, member), 0
    with (
        closing(_Forwards(opener(archive, "rb"))) as stream,
        tarfile.open(fileobj=stream, mode="r:") as content,
    ):
        for info in content:
            if check(info.name, info.size):
                found += 1
                if not info.isreg() or info.issparse():
                    raise FormatError(f"{archive}: '{member}' is not a plain file")
                _copy(content.extractfile(info), target)
        while stream.read(CHUNK):
            pass
    check.found(found)


class _Check:
    """Looks at the members of an archive one after the other, for the one that is wanted."""

    def __init__(self, archive: Path, member: str) -> None:
        self._archive = archive
        self._member = member
        self._names: list[str] = []
        self._size = 0

    def __call__(self, name: str, size: int) -> bool:
        """Whether it is the one. Raises FormatError where it has no place in an honest archive."""
        self._names.append(name)
        self._size += size
        if leads_out(name):
            raise FormatError(f"{self._archive}: hostile archive: '{name}' leads out of it")
        if size < 0 or self._size > LARGEST or len(self._names) > MOST_MEMBERS:
            raise FormatError(
                f"{self._archive}: unpacks to more than {LARGEST} bytes or {MOST_MEMBERS} members"
            )
        return f"/{posixpath.normpath(name)}".endswith(f"/{self._member}")

    def found(self, times: int) -> None:
        """Raises FormatError where that is not once."""
        if times > 1:
            raise FormatError(f"{self._archive}: holds '{self._member}' {times} times")
        if times == 0:
            some = clean(", ".join(self._names[:10])) or "nothing"
            raise FormatError(f"{self._archive}: holds no '{self._member}'; it holds {some}")


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    while chunk := source.read(CHUNK):
        target.write(chunk)


class _Forwards:
    """A stream that only goes forwards, a bounded distance in bounded steps.

    What a damaged or hostile tar header asks for is thereby finite: no loop over a negative size, no header
    that fills the memory.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.close = stream.close
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= CHUNK:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self._check_end(self.tell() + size)
        return self._stream.read(size)

    def seek(self, position: int) -> None:
        if position < self.tell():
            raise tarfile.ReadError(f"a member that begins before the last, at byte {position}")
        self._check_end(position)
        self._stream.seek(position)

    def _check_end(self, position: int) -> None:
        if position > LARGEST + MOST_MEMBERS * tarfile.BLOCKSIZE:
            raise tarfile.ReadError(f"it goes on after byte {position}")
