"""Files that take long to make, kept in the user's cache by the hash of everything they are made from.

    <cache>/prepared/<key>         the file
    <cache>/prepared/<key>.json    {"sha256": of the file, "facts": what was learned while it was made}

Where they exceed a cap together, those go first that were not used for longest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL

import models
import runtime
from harness import cache
from harness.files import replacing

CAP_BYTES = 8 << 30  # of all of them: the four networks of the table in all variants take 2


@dataclass(frozen=True)
class Artifact:
    """A file that was made now or earlier, as it lies at `path`. facts: what its maker said of it."""

    path: Path
    sha256: str
    facts: dict[str, int]


def provide(
    made_from: object, path: Path, make: Callable[[Path], dict[str, int]], cap_bytes: int = CAP_BYTES
) -> Artifact:
    """The file at `path`: out of the cache, or written there by `make(path)`, which returns its facts.

    made_from: everything but our own code that decides its content, as `fingerprint` takes it. A kept file
    that was damaged is made again.
    """
    kept = cache.folder("prepared") / fingerprint([_code(), made_from])
    return _taken(kept, path) or _kept(kept, path, make(path), cap_bytes)


def find(sha256: str) -> Path | None:
    """The kept file of this content; None where it is not there, or was damaged."""
    for record in cache.folder("prepared").glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = record.with_suffix("")
            if json.loads(record.read_bytes())["sha256"] == sha256 and _sha256(kept) == sha256:
                return kept
    return None


def fingerprint(value: object) -> str:
    """SHA-256 of a value's content, in hex: of dataclasses, mappings, sequences, arrays, numbers and texts.

    A path stands for the file as it is now, by its size and the time it was changed.
    """
    digest = hashlib.sha256()
    for part in _parts(value):
        digest.update(part)
    return digest.hexdigest()


def _parts(value: object) -> Iterator[bytes | np.ndarray]:
    """A value as bytes; what holds others begins with its kind and their number: none runs into the next."""
    if isinstance(value, np.ndarray):
        yield f"array {value.dtype.str} {value.shape} ".encode()
        yield np.ascontiguousarray(value).reshape(-1).view(np.uint8)
    elif isinstance(value, Path):
        found = value.stat() if value.exists() else None
        yield f"path {str(value)!r} {found and (found.st_size, found.st_mtime_ns)} ".encode()
    elif dataclasses.is_dataclass(value):
        yield from _parts({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    elif isinstance(value, Mapping):
        yield f"mapping {len(value)} ".encode()
        for item in value.items():
            yield from _parts(item)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        yield f"sequence {len(value)} ".encode()
        for item in value:
            yield from _parts(item)
    else:
        yield f"{value!r} ".encode()


@functools.cache
def _code() -> str:
    """Of all our sources, the runtime's too, because it observes the ranges of activations."""
    digest = hashlib.sha256(f"{np.__version__} {PIL.__version__}".encode())
    for root in (Path(__file__).parent, *(Path(package.__file__).parent for package in (models, runtime))):
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                content = path.read_bytes()
                digest.update(
                    f"{path.relative_to(root.parent).as_posix()} {len(content)}\n".encode() + content
                )
    return digest.hexdigest()


def _taken(kept: Path, path: Path) -> Artifact | None:
    """The kept file at `path` too; None where it is not there as it was kept."""
    try:
        record = json.loads(_record(kept).read_bytes())
        expected = Artifact(path, record["sha256"], record["facts"])
        _place(kept, path)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if _sha256(path) != expected.sha256:
        path.unlink()
        return None
    with contextlib.suppress(OSError):
        os.utime(kept)
    return expected


def _kept(kept: Path, path: Path, facts: dict[str, int], cap_bytes: int) -> Artifact:
    """Keeps a new file; a cache that cannot take it costs time later, and that is all."""
    made = Artifact(path, _sha256(path), facts)
    with contextlib.suppress(OSError):
        with replacing(kept) as temporary:
            _place(path, temporary)
        os.utime(kept)
        with replacing(_record(kept)) as temporary:
            temporary.write_text(json.dumps({"sha256": made.sha256, "facts": facts}), encoding="utf-8")
        _make_room(kept, cap_bytes)
    return made


def _record(kept: Path) -> Path:
    return kept.with_suffix(".json")


def _place(source: Path, target: Path) -> None:
    """The same file under a second name, or a copy where that is on another disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _make_room(newest: Path, cap_bytes: int) -> None:
    """Removes what was not used for longest; the newest stays. Trials under way have names of their own."""
    files = [path for path in newest.parent.iterdir() if path.is_file() and path.suffix != ".json"]
    total = sum(path.stat().st_size for path in files)
    for path in sorted(files, key=lambda path: path.stat().st_mtime_ns):
        if total > cap_bytes and path != newest:
            total -= path.stat().st_size
            _record(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
