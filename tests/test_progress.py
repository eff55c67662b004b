"""Progress: what is shown, where, and how long it will take."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from harness.progress import ProgressLine, TimeLeft

SCRIPT = """
from harness.progress import ProgressLine
with ProgressLine() as progress:
    progress("qemu: net: [bold]latency f32", 1, 3)
    progress.note("a [red]note")
"""


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_time_left_follows_the_pace_over_steps_of_any_name():
    clock = Clock()
    left = TimeLeft(clock)
    assert left(0, 9) == ""
    clock.now += 10
    assert left(1, 9) == "1:20 left"
    clock.now += 30
    assert left(2, 9) == "2:20 left"
    clock.now += 4000
    assert left(4, 9) == "1:24:10 left"
    assert left(9, 9) == ""


def test_time_left_begins_again_with_other_steps():
    clock = Clock()
    left = TimeLeft(clock)
    left(0, 10)
    clock.now += 100
    assert left(5, 10) == "1:40 left"
    assert left(0, 10) == ""
    clock.now += 1
    assert left(1, 10) == "0:09 left"
    assert left(3, 4) == ""
    assert left(0, 0) == ""


def test_plain_lines_where_there_is_no_terminal(capsys):
    with ProgressLine() as progress:
        for done in range(3):
            progress("reading", done, 3)
        progress("packing")
        progress.note("sent 3 bytes")
    shown = capsys.readouterr()
    assert shown.err.splitlines() == ["reading 0/3", "packing", "sent 3 bytes"]
    assert shown.out == ""


def test_quiet(capsys):
    with ProgressLine(quiet=True) as progress:
        progress("reading", 1, 3)
        progress.note("note")
    assert capsys.readouterr() == ("", "")


def on_terminal(**environment: str) -> str:
    """What a terminal of 100 columns is sent."""
    ours, theirs = pty.openpty()
    variables = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    subprocess.run(
        [sys.executable, "-c", SCRIPT],
        stderr=theirs,
        env=variables | {"COLUMNS": "100", "TERM": "xterm"} | environment,
        cwd=Path(__file__).parent.parent,
        check=True,
        timeout=60,
    )
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    return shown


def test_a_live_line_on_a_terminal():
    shown = on_terminal()
    assert "qemu: net: [bold]latency f32" in shown
    assert "1/3" in shown
    assert "a [red]note" in shown
    assert "\x1b[3" in shown, "coloured"


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colours_where_they_are_not_wanted(environment):
    shown = on_terminal(**environment)
    assert "latency f32" in shown
    assert "\x1b[3" not in shown
