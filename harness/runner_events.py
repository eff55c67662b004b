"""The runner's JSON lines (runtime/RUNNER.md), parsed strictly one by one: bytes in, checked events out.

Device output is hostile. A line that is not exactly what the contract says makes the whole output worthless,
and TrialError says which line and why. Text fields are made harmless here.

An event's schema is its dataclass: the annotation of each field is its check. A field without one is not of
the runner.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from typing import Annotated, get_origin, get_type_hints

from harness.errors import TrialError
from harness.text import clean

MAX_LINE_BYTES = 1 << 20
MAX_LIST = 1 << 16
LARGEST_COUNT = 2**63 - 1
LARGEST_FLOAT = 3.5e38  # a float32 cannot exceed it


class _Wrong(Exception):
    """What a check has against a value."""


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST_COUNT:
        raise _Wrong("is not a count")
    return value


def _duration(value: object) -> int:
    if _count(value) == 0:
        raise _Wrong("is not a duration above zero")
    return value


def _number(value: object) -> float:
    if type(value) not in (int, float) or not -LARGEST_FLOAT <= value <= LARGEST_FLOAT:
        raise _Wrong("is not a finite number")
    return float(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Wrong("is not text")
    return clean(value)


def _optional(check):
    return lambda value: None if value is None else check(value)


def _list(check, least: int = 1):
    def check_all(value: object) -> tuple:
        if not isinstance(value, list) or not least <= len(value) <= MAX_LIST:
            raise _Wrong("is not a list" if least == 0 else "is not a list with entries")
        return tuple(check(entry) for entry in value)

    return check_all


Count = Annotated[int, _count]
Duration = Annotated[int, _duration]
Text = Annotated[str, _text]
MaybeCount = Annotated[int | None, _optional(_count)]
MaybeText = Annotated[str | None, _optional(_text)]
Counts = Annotated[tuple[int, ...], _list(_count)]
Durations = Annotated[tuple[int, ...], _list(_duration)]
Numbers = Annotated[tuple[float, ...], _list(_number)]
Texts = Annotated[tuple[str, ...], _list(_text)]
AnyTexts = Annotated[tuple[str, ...], _list(_text, least=0)]


@dataclass(frozen=True)
class Start:
    """The first line. core None: not pinned; arena_bytes, file_bytes: the model's; load_ns: open to ready."""

    mode: Text
    version: Text
    arch: Text
    isa: Text
    core: MaybeCount
    model: Text
    arena_bytes: Count
    file_bytes: Count
    load_ns: Count


@dataclass(frozen=True)
class StartInfo:
    """The first line of a mode that loads no model."""

    mode: Text
    version: Text
    arch: Text
    isa: Text
    core: MaybeCount


@dataclass(frozen=True)
class Cold:
    """The first run of a process."""

    ns: Duration


@dataclass(frozen=True)
class Warmup:
    runs: Count


@dataclass(frozen=True)
class Samples:
    """Consecutive timed runs, nanoseconds."""

    ns: Durations


@dataclass(frozen=True)
class Usage:
    """Peak resident memory, None where the device does not say; context switches during the timed runs."""

    vm_hwm_kb: MaybeCount
    voluntary_switches: Count
    involuntary_switches: Count


@dataclass(frozen=True)
class Top:
    """Top-k classes and scores of the samples first, first + 1, …"""

    first: Count
    classes: Annotated[tuple[tuple[int, ...], ...], _list(_list(_count))]
    scores: Annotated[tuple[tuple[float, ...], ...], _list(_list(_number))]


@dataclass(frozen=True)
class NodeTime:
    """One node of a profile: multiply-accumulates, bytes touched, nanoseconds per run.

    instructions: of the node in one inference. The runner does not tell them, an emulator counts them.
    """

    index: Count
    name: Text
    op: Text
    arithmetic: Text
    kernel: Text
    macs: Count
    bytes: Count
    ns: Counts
    instructions: int | None = None

    @property
    def median_ns(self) -> float:
        return statistics.median(self.ns)


@dataclass(frozen=True)
class Range:
    """Minimum and maximum of each float tensor (by index into the model file's table) for one sample."""

    sample: Count
    tensors: Counts
    min: Numbers
    max: Numbers


@dataclass(frozen=True)
class Bandwidth:
    """Reading `bytes` of memory, once for each entry of ns."""

    bytes: Count
    ns: Durations


@dataclass(frozen=True)
class Counters:
    """Of one warm inference, by the processor's own counters; None where they may not be read."""

    instructions: MaybeCount
    cycles: MaybeCount


@dataclass(frozen=True)
class Info:
    arch: Text
    features: AnyTexts
    isas: Texts
    page_size: Count
    cores: Count


@dataclass(frozen=True)
class LeaseAnswer:
    """Whether it is granted ("yes" or "no"); who is in the way and for how long, None where nobody is."""

    granted: Text
    holder: MaybeText
    ms_left: MaybeCount


@dataclass(frozen=True)
class End:
    status: Text


@dataclass(frozen=True)
class Error:
    """The runner gave up; message says why."""

    message: Text


Event = (
    Start
    | StartInfo
    | Cold
    | Warmup
    | Samples
    | Usage
    | Top
    | NodeTime
    | Range
    | Bandwidth
    | Counters
    | Info
    | LeaseAnswer
    | End
    | Error
)

_EVENTS = {
    "start": Start,
    "cold": Cold,
    "warmup": Warmup,
    "samples": Samples,
    "usage": Usage,
    "top": Top,
    "node": NodeTime,
    "range": Range,
    "bandwidth": Bandwidth,
    "counters": Counters,
    "info": Info,
    "lease": LeaseAnswer,
    "end": End,
    "error": Error,
}
_WITHOUT_MODEL = ("info", "lease", "bandwidth")  # modes
_CHECKS = {
    kind: {
        name: hint.__metadata__[0]
        for name, hint in get_type_hints(kind, include_extras=True).items()
        if get_origin(hint) is Annotated
    }
    for kind in (*_EVENTS.values(), StartInfo)
}


def parse_lines(stdout: bytes, nonce: str) -> list[Event]:
    """Every line as an event. Raises TrialError naming the first line that breaks the contract."""
    lines = stdout.split(b"\n")
    if lines.pop() != b"":
        raise TrialError(f"the runner's output stops in the middle of line {len(lines) + 1}")
    events = []
    for number, line in enumerate(lines, 1):
        try:
            events.append(_parse_line(line, nonce))
        except _Wrong as wrong:
            raise TrialError(f"the runner's output, line {number}: {wrong}") from None
    return events


def _parse_line(line: bytes, nonce: str) -> Event:
    fields = _json_object(line)
    if fields.pop("nonce", None) != nonce:
        raise _Wrong("the nonce is not that of this trial")
    name = fields.pop("event", None)
    if not isinstance(name, str) or name not in _EVENTS:
        raise _Wrong(f"unknown event {clean(repr(name), 40)}")
    kind = StartInfo if name == "start" and fields.get("mode") in _WITHOUT_MODEL else _EVENTS[name]
    checks = _CHECKS[kind]
    if missing := checks.keys() - fields.keys():
        raise _Wrong(f"event '{name}' lacks '{min(missing)}'")
    if extra := fields.keys() - checks.keys():
        raise _Wrong(f"event '{name}' has an unknown field {clean(repr(min(extra)), 40)}")
    values = {}
    for key, check in checks.items():
        try:
            values[key] = check(fields[key])
        except _Wrong as wrong:
            raise _Wrong(f"event '{name}': '{key}' {wrong}") from None
    return kind(**values)


def _json_object(line: bytes) -> dict:
    if len(line) > MAX_LINE_BYTES:
        raise _Wrong(f"longer than {MAX_LINE_BYTES} bytes")
    try:
        value = json.loads(
            line.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise _Wrong(f"not a line of JSON: {clean(repr(line[:60]), 80)}") from None
    if not isinstance(value, dict):
        raise _Wrong("not a JSON object")
    return value


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _Wrong("a field is given twice")
    return fields


def _no_constant(name: str) -> None:
    raise _Wrong(f"holds {name}, which is not a finite number")
