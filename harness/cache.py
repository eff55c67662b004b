"""The user's cache folder, and how a file gets written: whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from harness.errors import UsageError
from harness.files import replacing


def folder(*parts: str) -> Path:
    """A folder below the cache, made if missing. `QUANTBENCH_CACHE` overrides the platform's place.

    Raises UsageError where it cannot be made.
    """
    root = os.environ.get("QUANTBENCH_CACHE") or platformdirs.user_cache_path("quantbench")
    path = Path(root).absolute().joinpath(*parts)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make the cache folder {path}: {error.strerror}; set QUANTBENCH_CACHE to another"
        ) from error
    return path


def file(path: Path, make: Callable[[Path], None]) -> Path:
    """Returns `path`, which `make(temporary)` has written now or some process before."""
    if not path.is_file():
        with replacing(path) as temporary:
            make(temporary)
    return path
