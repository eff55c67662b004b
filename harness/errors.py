"""The errors a user can meet. `cli.py` turns each into one line and its exit code."""

import difflib
from collections.abc import Iterable

from harness.text import clean

LONGEST_MESSAGE = 2000


class BenchError(Exception):
    """Base of every expected failure. The message names the thing, what is wrong and what to do."""

    exit_code = 2


class UsageError(BenchError):
    """The command or its input is wrong: unknown name, missing file, empty dataset."""


class FormatError(BenchError):
    """A model, dataset or result file is damaged, hostile or uses something unsupported.

    The message is one line, whatever names the file holds.
    """

    def __init__(self, message: str) -> None:
        super().__init__(clean(message, LONGEST_MESSAGE))


class DeviceError(BenchError):
    """A device cannot be reached, or a command on it failed."""

    exit_code = 3


class ConnectionLost(DeviceError):
    """The connection to a device broke off, or the device no longer answers."""


class DeadlineError(DeviceError):
    """A program on a device ran too long, or was silent too long, and was killed."""


class TrialError(BenchError):
    """A trial ran but its output cannot be trusted or understood."""

    exit_code = 3


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """UsageError for a name that is not in `known`, with the nearest names suggested."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
    return UsageError(f"unknown {kind} '{name}': {hint}")
