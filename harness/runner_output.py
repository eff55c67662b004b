"""What a whole runner output must hold, mode by mode; harness/runner_events.py checks the single lines.

Depends only on errors and the device protocol, so calibration (harness/quantize) may read ranges with it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np

from devices import RunResult
from harness.errors import TrialError
from harness.runner_events import (
    Bandwidth,
    Cold,
    Counters,
    End,
    Error,
    Event,
    Info,
    LeaseAnswer,
    NodeTime,
    Range,
    Samples,
    Start,
    StartInfo,
    Top,
    Usage,
    Warmup,
    parse_lines,
)
from harness.text import clean


def new_nonce() -> str:
    """A token that no earlier output can hold."""
    return secrets.token_hex(16)


def read(result: RunResult, nonce: str, mode: str) -> tuple[Start | StartInfo, list[Event]]:
    """The start event and what came between it and `end`, of a runner that did all of its work in `mode`.

    Raises TrialError where the runner died of a signal, reported an error, was cut off or broke the contract.
    """
    if result.signal is not None:
        raise TrialError(f"the runner died of {clean(result.signal, 20)}{_last_words(result.stderr)}")
    if result.truncated:
        raise TrialError("the runner printed more than the device's output limit")
    if (message := _reported(result.stdout, nonce)) is not None:
        raise TrialError(f"the runner says: {message}")
    if result.exit_code != 0:
        raise TrialError(f"the runner ended with exit code {result.exit_code}{_last_words(result.stderr)}")
    events = parse_lines(result.stdout, nonce)
    if len(events) < 2 or not isinstance(events[0], Start | StartInfo) or events[-1] != End("ok"):
        raise TrialError("the runner's output does not go from 'start' to 'end'")
    if events[0].mode != mode:
        raise TrialError(f"the runner ran '{events[0].mode}', not '{mode}'")
    return events[0], events[1:-1]


def _reported(stdout: bytes, nonce: str) -> str | None:
    """The message of an error event in the last line, whatever came before it."""
    last = stdout.rstrip(b"\n").rpartition(b"\n")[2]
    try:
        (event,) = parse_lines(last + b"\n", nonce)
    except TrialError:
        return None
    return event.message if isinstance(event, Error) else None


def _last_words(stderr: bytes) -> str:
    lines = stderr[-2000:].decode("utf-8", "replace").strip().splitlines()
    return f": {clean(lines[-1])}" if lines else ""


def _exactly(events: list[Event], *kinds: type) -> None:
    """Nothing but these kinds of event."""
    for event in events:
        if not isinstance(event, kinds):
            raise TrialError(f"the runner's output has an unexpected '{type(event).__name__.lower()}' event")


def _one(events: list[Event], kind: type):
    found = [event for event in events if isinstance(event, kind)]
    if len(found) != 1:
        raise TrialError(
            f"the runner's output has {len(found)} '{kind.__name__.lower()}' events instead of 1"
        )
    return found[0]


def _read_only(result: RunResult, nonce: str, mode: str, kind: type):
    """An output that is one event of this kind."""
    _, events = read(result, nonce, mode)
    _exactly(events, kind)
    return _one(events, kind)


def read_latency(result: RunResult, nonce: str) -> tuple[Start, Cold, Warmup, Usage, np.ndarray]:
    """A `latency` output; the array holds every timed run in order, int64 (n,) nanoseconds, n ≥ 1."""
    start, events = read(result, nonce, "latency")
    _exactly(events, Cold, Warmup, Samples, Usage)
    if (batches := [event.ns for event in events if isinstance(event, Samples)]) == []:
        raise TrialError("the runner's output has no timed runs")
    ns = np.array([value for batch in batches for value in batch], np.int64)
    return start, _one(events, Cold), _one(events, Warmup), _one(events, Usage), ns


def read_accuracy(result: RunResult, nonce: str, first: int) -> tuple[np.ndarray, np.ndarray]:
    """An `accuracy` output from sample `first` on: classes int32 (n, k), scores float32 (n, k); n may be 0.

    Raises TrialError where samples are skipped, repeated or out of order, rows differ in length, a class is
    given twice, or scores are not in falling order.
    """
    _, events = read(result, nonce, "accuracy")
    _exactly(events, Top)
    classes: list[Sequence[int]] = []
    scores: list[Sequence[float]] = []
    for event in events:
        if event.first != first + len(classes):
            raise TrialError(
                f"the runner's output goes on at sample {event.first}, not {first + len(classes)}"
            )
        if len(event.classes) != len(event.scores):
            raise TrialError(
                f"the runner's output at sample {event.first}: classes and scores differ in number"
            )
        classes += event.classes
        scores += event.scores
    _check_rows(classes, scores, first)
    shape = (len(classes), len(classes[0]) if classes else 0)
    return np.array(classes, np.int32).reshape(shape), np.array(scores, np.float32).reshape(shape)


def _check_rows(classes: list[Sequence[int]], scores: list[Sequence[float]], first: int) -> None:
    for i, (row, row_scores) in enumerate(zip(classes, scores, strict=True)):
        where = f"the runner's output at sample {first + i}"
        if not len(row) == len(row_scores) == len(classes[0]):
            raise TrialError(f"{where}: not {len(classes[0])} classes with a score each")
        if len(set(row)) != len(row) or max(row) > np.iinfo(np.int32).max:
            raise TrialError(f"{where}: a class is given twice or impossible")
        if any(a < b for a, b in zip(row_scores, row_scores[1:], strict=False)):
            raise TrialError(f"{where}: scores are not highest first")


def read_profile(result: RunResult, nonce: str) -> list[NodeTime]:
    """A `profile` output: every node in order, each with the same number of runs."""
    _, nodes = read(result, nonce, "profile")
    _exactly(nodes, NodeTime)
    if not nodes or [node.index for node in nodes] != list(range(len(nodes))):
        raise TrialError("the runner's profile does not hold every node once and in order")
    if len({len(node.ns) for node in nodes}) != 1:
        raise TrialError("the runner's profile has nodes with different numbers of runs")
    return nodes


def read_bandwidth(result: RunResult, nonce: str) -> Bandwidth:
    """A `bandwidth` output."""
    return _read_only(result, nonce, "bandwidth", Bandwidth)


def read_counters(result: RunResult, nonce: str) -> Counters:
    """A `counters` output."""
    return _read_only(result, nonce, "counters", Counters)


def read_info(result: RunResult, nonce: str) -> Info:
    """An `info` output."""
    return _read_only(result, nonce, "info", Info)


def read_lease(result: RunResult, nonce: str) -> LeaseAnswer:
    """A `lease` output."""
    return _read_only(result, nonce, "lease", LeaseAnswer)


def read_ranges(
    result: RunResult, nonce: str, first: int, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A `calibrate` output: tensor indices (t,), minimums and maximums float64 (count, t)."""
    _, ranges = read(result, nonce, "calibrate")
    _exactly(ranges, Range)
    if [r.sample for r in ranges] != list(range(first, first + count)):
        raise TrialError(
            f"the runner's calibration does not hold the samples {first} to {first + count - 1} once"
        )
    for r in ranges:
        if r.tensors != ranges[0].tensors or len(set(r.tensors)) != len(r.tensors):
            raise TrialError(
                f"the runner's calibration: sample {r.sample} covers other tensors than the first"
            )
        if not len(r.tensors) == len(r.min) == len(r.max) or any(
            a > b for a, b in zip(r.min, r.max, strict=False)
        ):
            raise TrialError(
                f"the runner's calibration: sample {r.sample} has a range that is missing or reversed"
            )
    tensors = np.array(ranges[0].tensors if ranges else (), np.int64)
    return tensors, np.array([r.min for r in ranges]), np.array([r.max for r in ranges])
