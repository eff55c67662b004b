"""Progress on standard error: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

PLAIN_INTERVAL_S = 10.0


class ProgressLine:
    """Shows what is being done; call it with (what, steps done, steps in all), 0 in all where unknown.

    Use it as a context manager, so that the terminal is left clean.
    """

    def __init__(self, quiet: bool = False) -> None:
        console = Console(stderr=True)
        self._quiet = quiet
        self._plain = _PlainLines() if not console.is_terminal else None
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = None
        self._what = ""

    def __call__(self, what: str, done: int = 0, total: int = 0) -> None:
        if self._quiet:
            return
        if self._plain is not None:
            self._plain(what, done, total)
            return
        if self._task is None or what != self._what:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task, self._what = self._bar.add_task(what, total=None), what
        self._bar.update(self._task, completed=done, total=total or None)

    def note(self, text: str) -> None:
        """One line that stays."""
        if not self._quiet:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> ProgressLine:
        if not self._quiet and self._plain is None:
            self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar.live.is_started:  # stopping one that was never started prints an empty line
            self._bar.stop()


class _PlainLines:
    """A line for each new thing that is done, and one every few seconds while it goes on."""

    def __init__(self) -> None:
        self._what = ""
        self._last = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what == self._what and now - self._last < PLAIN_INTERVAL_S:
            return
        self._what, self._last = what, now
        print(f"{what} {done}/{total}" if total else what, file=sys.stderr, flush=True)
