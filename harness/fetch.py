"""Published weights on this machine: fetched once, verified, kept in the user's cache folder.

    <cache>/weights/<name>/<member>           what a recipe reads
    <cache>/weights/<name>/.part              a download that was cut off
    <cache>/digests/<name>.sha256             what was first seen, as `sha256sum` writes it

<name> is the file's at its URL, with a hash of the URL. A file whose publisher states no digest is trusted
when it is first seen; content that differs later is refused until the user removes the record.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import models
from harness import cache, download, unpack
from harness.download import Progress, file_name
from harness.errors import FormatError, UsageError
from harness.files import replacing
from models import Download


def cached(wanted: Download) -> Path | None:
    """Where the file lies, None where it was not fetched yet. Touches no network."""
    kept = _Shelf(wanted).file
    return kept if kept.is_file() else None


def path(wanted: Download, progress: Progress) -> Path:
    """The file, or the archive's member; downloaded and verified where it is not in the cache.

    Raises UsageError where it cannot be had, with what to do; FormatError where it is not what it should be.
    """
    shelf = _Shelf(wanted)
    with shelf.locked(progress):
        if shelf.file.is_file():
            shelf.verify_kept()
        else:
            try:
                download.get(wanted.url, shelf.part, wanted.size, progress)
            except UsageError as error:
                raise UsageError(f"{error}; {_what_to_do(wanted)}") from error
            try:
                shelf.keep(shelf.part, wanted.url, packed=bool(wanted.member))
            finally:
                shelf.part.unlink(missing_ok=True)
    return shelf.file


def take(wanted: Download, given: Path, progress: Progress) -> Path:
    """Puts a file of the user's into the cache: the one at the URL, or an archive's member alone.

    Raises FormatError where it is not what it should be, UsageError where it cannot be read.
    """
    shelf = _Shelf(wanted)
    with shelf.locked(progress):
        shelf.keep(given, str(given), packed=bool(wanted.member) and unpack.is_archive(given))
    return shelf.file


def find(wanted: Download, given: Path) -> Path | None:
    """The file of the user's, or the one in their folder, that is called as the wanted one is."""
    if given.is_dir():
        return next((given / name for name in file_names(wanted) if (given / name).is_file()), None)
    return given if given.is_file() and given.name in file_names(wanted) else None


def file_names(wanted: Download) -> list[str]:
    """What the wanted file, or the archive with it, is called."""
    member = Path(wanted.member)
    return list(dict.fromkeys(name for name in (file_name(wanted.url), wanted.member, member.name) if name))


def _what_to_do(wanted: Download) -> str:
    """Without the network."""
    recipes = map(models.load, models.names())
    of = [recipe.name for recipe in recipes if wanted in (recipe.fetched, recipe.qat)]
    name = of[0] if of else "NAME"
    return f"get it elsewhere, then: bench models fetch {name} --from {file_name(wanted.url)}"


@dataclass(frozen=True)
class _Shelf:
    """The place of one download in the cache."""

    wanted: Download

    @property
    def name(self) -> str:
        return f"{file_name(self.wanted.url)}-{hashlib.sha256(self.wanted.url.encode()).hexdigest()[:8]}"

    @property
    def folder(self) -> Path:
        return cache.folder("weights") / self.name

    @property
    def file(self) -> Path:
        return self.folder / (self.wanted.member or file_name(self.wanted.url))

    @property
    def part(self) -> Path:
        return self.folder / ".part"

    @property
    def record(self) -> Path:
        return cache.folder("digests") / f"{self.name}.sha256"

    @contextmanager
    def locked(self, progress: Progress) -> Iterator[None]:
        """Keeps other processes from fetching the same. Raises UsageError where the cache cannot be used."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with (self.folder / ".lock").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    progress(f"waiting for another process that fetches {file_name(self.wanted.url)}", 0, 0)
                    fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise UsageError(f"{error.filename or self.folder}: {error.strerror}") from error

    def keep(self, found: Path, origin: str, packed: bool) -> None:
        """Verifies a file and puts it, or its member, into its place; then records the digests.

        found: where `packed`, an archive with the member. origin: where the file comes from.
        """
        digests = self._recorded()
        with replacing(self.file) as temporary:
            if packed:
                digests |= self._verified(found, file_name(self.wanted.url), origin)
                unpack.extract(found, self.wanted.member, temporary)
            else:
                shutil.copyfile(found, temporary)
            digests |= self._verified(temporary, self.wanted.member or file_name(self.wanted.url), origin)
        lines = (f"{digest}  {name}\n" for name, digest in digests.items())
        with replacing(self.record) as temporary:
            temporary.write_text("".join(lines))

    def verify_kept(self) -> None:
        """Raises FormatError where the file is not what was put into its place."""
        try:
            self._verified(self.file, self.wanted.member or file_name(self.wanted.url), str(self.file))
        except FormatError as error:
            raise FormatError(
                f"{self.file}: was changed after it was fetched; remove it: rm '{self.file}'"
            ) from error

    def _verified(self, file: Path, name: str, origin: str) -> dict[str, str]:
        """The file's name and digest. Raises FormatError where it is not the published or recorded one."""
        size, published = self.wanted.size, self.wanted.sha256
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if name == file_name(self.wanted.url):
            if size is not None and file.stat().st_size != size:
                raise FormatError(f"{origin}: has {file.stat().st_size} bytes, but {name} has {size}")
            if published is not None and digest != published:
                raise FormatError(f"{origin}: is not {name} as published: sha256 {digest}, not {published}")
        seen = self._recorded().get(name, digest)
        if seen != digest:
            raise FormatError(
                f"{origin}: {name} is not what it was when it was first seen (sha256 {digest}, then {seen}); "
                f"to trust it as it is now: rm '{self.record}'"
            )
        return {name: digest}

    def _recorded(self) -> dict[str, str]:
        """Digests by name."""
        if not self.record.exists():
            return {}
        lines = self.record.read_text(encoding="utf-8").splitlines()
        return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
