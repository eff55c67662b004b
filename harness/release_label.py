"""What a run is called by default: the git tag or commit of the folder the user works in."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness.errors import UsageError
from harness.text import clean

LONGEST = 100
GIT_TIMEOUT_S = 10
TAG, COMMIT = ("--tags", "--exact-match"), ("--always", "--exclude=*")


def checked(name: str) -> str:
    """A label given by the user. Raises UsageError for one that a table could not show."""
    if not name.strip() or name != name.strip() or clean(name, LONGEST) != name:
        raise UsageError(
            f"release '{clean(name)}' must be one line of at most {LONGEST} characters, not blank"
        )
    return name


def of_folder(folder: Path) -> str | None:
    """The tag of the checked-out commit, else its hash; with `-dirty` where tracked files differ from it.

    None outside a git repository, in one without a commit, and where git is missing.
    """
    return _describe(folder, TAG) or _describe(folder, COMMIT)


def _describe(folder: Path, what: tuple[str, ...]) -> str | None:
    # Without optional locks: another git command of the user must not meet a lock of this one.
    argv = ["git", "--no-optional-locks", "-C", str(folder), "describe", "--dirty", *what]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=GIT_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return clean(done.stdout.strip(), LONGEST) if done.returncode == 0 else None
