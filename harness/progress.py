"""Progress on standard error: live lines on a terminal, plain lines elsewhere. `NO_COLOR` is obeyed.

Every thread that reports has a line of its own, so that devices at work at the same time are all to be seen.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from harness.text import duration

PLAIN_INTERVAL_S = 10.0


class ProgressLine:
    """Shows what is being done; call it with (what, steps done, steps in all), 0 in all where unknown.

    Use it as a context manager, so that the terminal is left clean.
    """

    def __init__(self, quiet: bool = False) -> None:
        console = Console(stderr=True)
        self._quiet = quiet
        live = console.is_terminal and not console.is_dumb_terminal
        self._live = live
        self._lines: dict[int, Callable[[str, int, int], None]] = {}
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            console=console,
            transient=True,
        )

    def __call__(self, what: str, done: int = 0, total: int = 0) -> None:
        if self._quiet:
            return
        thread = threading.get_ident()
        if thread not in self._lines:
            self._lines[thread] = _LiveLine(self._bar) if self._live else _PlainLine()
        self._lines[thread](what, done, total)

    def note(self, text: str) -> None:
        """One line that stays."""
        if not self._quiet:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> ProgressLine:
        if not self._quiet and self._live:
            self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live:
            self._bar.stop()


class TimeLeft:
    """Says how long the steps that are left will take if they go on as they went.

    A sequence of steps goes on as long as its total stays and `done` does not fall: what is done may have
    another name in each of them, as the variants of a trial have.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._total = self._first = self._done = 0
        self._began = 0.0

    def __call__(self, done: int, total: int) -> str:
        """`0:12 left`; empty where nothing is known yet."""
        now = self._clock()
        if total != self._total or done < self._done:
            self._began, self._first = now, done
        self._total, self._done = total, done
        if done == self._first or total <= done:
            return ""
        each_s = (now - self._began) / (done - self._first)
        return f"{duration(each_s * (total - done))} left"


class _LiveLine:
    """The bar's line of one thread."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._left = TimeLeft()
        self._task = None
        self._what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        left = self._left(done, total)
        if self._task is None or what != self._what:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task, self._what = self._bar.add_task(what, total=None, left=""), what
        self._bar.update(self._task, completed=done, total=total or None, left=left)


class _PlainLine:
    """A line for each new thing that is done, and one every few seconds while it goes on."""

    def __init__(self) -> None:
        self._left = TimeLeft()
        self._what = ""
        self._last = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        left = self._left(done, total)
        now = time.monotonic()
        if what == self._what and now - self._last < PLAIN_INTERVAL_S:
            return
        self._what, self._last = what, now
        steps = f" {done}/{total}" if total else ""
        print(f"{what}{steps}{', ' if left else ''}{left}", file=sys.stderr, flush=True)
