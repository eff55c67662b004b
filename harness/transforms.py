"""The language of transforms, `name(parameter=value, …) name …`, that of TensorFlow's graph transform tool.

    transforms := { name [ "(" [ parameter { [","] parameter } ] ")" ] }
    parameter  := name "=" value          a parameter may be repeated; order is kept
    value      := '"' any text but '"' '"'  |  text without spaces, commas, parentheses and quotes

A transform is a pass of `harness/passes`; the signature of its `run` says which parameters it has and of
what type. Every transform takes `ignore_errors=true` too: where it fails, the graph stays as it was.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import UnionType

from harness import passes
from harness.errors import BenchError, UsageError, unknown_name
from harness.graph import Graph
from harness.passes._edit import OpName
from harness.passes.quantize_nodes import Calibrate

_NAME = re.compile(r"[A-Za-z0-9_]+")
_SPACE = re.compile(r"(?:\s|\\\n)*")
_SEPARATOR = re.compile(r"(?:\s|\\\n|,)*")
_BARE = re.compile(r"""[^\s,()"'=]+""")
_QUOTED = re.compile(r'"([^"]*)"')

TF_OPS = {
    "AddV2": "Add",
    "AvgPool": "AveragePool2D",
    "BatchNormWithGlobalNormalization": "BatchNorm",
    "ConcatV2": "Concatenation",
    "DepthwiseConv2dNative": "DepthwiseConv2D",
    "FusedBatchNorm": "BatchNorm",
    "FusedBatchNormV2": "BatchNorm",
    "FusedBatchNormV3": "BatchNorm",
    "FusedPadConv2D": "FusedResizeAndPadConv2D",
    "MaxPool": "MaxPool2D",
    "RealDiv": "Div",
    "Sigmoid": "Logistic",
}
"""TensorFlow's name → the IR's, where they differ; parameters of transforms take either."""


@dataclass(frozen=True)
class Transform:
    """One transform as it is written: its name, and its parameters in order."""

    name: str
    params: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        shown = ", ".join(f"{key}={_shown(value)}" for key, value in self.params)
        return f"{self.name}({shown})" if shown else self.name


def _shown(value: str) -> str:
    return value if _BARE.fullmatch(value) else f'"{value}"'


def parse(text: str, option: str = "--transforms") -> list[Transform]:
    """The transforms of a text, in order; UsageError with the option and the position of what does not
    fit."""
    try:
        return _parse(text)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from None


def _parse(text: str) -> list[Transform]:
    found, position = [], _SPACE.match(text).end()
    while position < len(text):
        name, position = _take(_NAME, text, position, "the name of a transform")
        params = []
        if text.startswith("(", position):
            position = _SEPARATOR.match(text, position + 1).end()
            while not text.startswith(")", position):
                param, position = _parameter(text, position, name)
                params.append(param)
                position = _SEPARATOR.match(text, position).end()
            position += 1
        found.append(Transform(name, tuple(params)))
        position = _SPACE.match(text, position).end()
    if not found:
        raise UsageError("names no transform")
    return found


def _parameter(text: str, position: int, transform: str) -> tuple[tuple[str, str], int]:
    if position >= len(text):
        raise _syntax_error(text, position, f"the ')' of {transform}")
    key, position = _take(_NAME, text, position, f"a parameter of {transform}, or its ')'")
    position = _SPACE.match(text, position).end()
    if not text.startswith("=", position):
        raise _syntax_error(text, position, f"'=' after {transform}'s {key}")
    position = _SPACE.match(text, position + 1).end()
    if text.startswith('"', position):
        quoted = _QUOTED.match(text, position)
        if quoted is None:
            raise _syntax_error(text, len(text), f"the closing '\"' of {transform}'s {key}")
        return (key, quoted[1]), quoted.end()
    value, position = _take(_BARE, text, position, f"a value for {transform}'s {key}")
    return (key, value), position


def _take(pattern: re.Pattern, text: str, position: int, expected: str) -> tuple[str, int]:
    match = pattern.match(text, position)
    if match is None:
        raise _syntax_error(text, position, expected)
    return match[0], match.end()


def _syntax_error(text: str, position: int, expected: str) -> UsageError:
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    found = f"found '{text[position : position + 20]}'" if position < len(text) else "found the end"
    return UsageError(f"line {line}, column {column}: expected {expected}, {found}")


# --- from text to calls ---


@dataclass(frozen=True)
class Call:
    """A transform ready to run: `run(graph, **arguments)`. calibrated: it takes `calibrate` too."""

    name: str
    run: Callable[..., Graph]
    arguments: dict[str, object]
    ignore_errors: bool = False
    calibrated: bool = False


def bind(transform: Transform, function: Callable[[str], Callable] = passes.function) -> Call:
    """The pass (or what else `function` finds by name) and its arguments.

    Raises UsageError for an unknown transform or parameter, or a bad value.
    """
    run = function(transform.name)
    types = {key: _settable(kind) for key, kind in typing.get_type_hints(run).items()}
    known = [p for p in inspect.signature(run).parameters.values() if types[p.name] is not None]
    given: dict[str, list[str]] = {}
    names = ["ignore_errors", *(parameter.name for parameter in known)]
    for key, value in transform.params:
        if key not in names:
            raise unknown_name(f"parameter of {transform.name}", key, names)
        given.setdefault(key, []).append(value)
    ignore = _value(transform.name, "ignore_errors", bool, given.pop("ignore_errors", ["false"]))
    arguments = {key: _value(transform.name, key, types[key], values) for key, values in given.items()}
    missing = [p.name for p in known if p.default is p.empty and p.name not in arguments]
    if missing:
        raise UsageError(f"transform {transform.name} needs {' and '.join(missing)}")
    return Call(transform.name, run, arguments, ignore, "calibrate" in types)


def _settable(kind: object) -> object | None:
    """The type behind `X | None`; None where no text can give such a value, as for the graph itself."""
    if isinstance(kind, UnionType):
        kind = next(choice for choice in typing.get_args(kind) if choice is not type(None))
    (item,) = typing.get_args(kind) if typing.get_origin(kind) is Sequence else (kind,)
    return kind if item in _READERS else None


def _value(transform: str, key: str, kind: object, values: list[str]) -> object:
    """The values of one parameter as the type that its pass asks for."""
    if typing.get_origin(kind) is Sequence:
        (kind,) = typing.get_args(kind)
        return [_value(transform, key, kind, [value]) for value in values]
    if len(values) > 1:
        raise UsageError(f"transform {transform} takes {key} once, not {len(values)} times")
    read, expected = _READERS[kind]
    try:
        return read(values[0])
    except (ValueError, KeyError):
        raise UsageError(f"transform {transform}: {key} is {expected}, not '{values[0]}'") from None


def _shape(text: str) -> tuple[int, ...]:
    shape = tuple(int(part) for part in text.split(",")) if text.strip() else ()
    if any(length < 1 for length in shape):
        raise ValueError(text)
    return shape


_READERS: dict[object, tuple[Callable[[str], object], str]] = {
    bool: (lambda text: {"true": True, "false": False}[text.lower()], "true or false"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    str: (str, "a text"),
    OpName: (lambda text: TF_OPS.get(text, text), "the name of an op"),
    tuple[int, ...]: (_shape, 'a shape like "1,224,224,3"'),
}


def apply(
    graph: Graph,
    transforms: Iterable[Transform],
    observe: passes.Observer | None = None,
    report: Callable[[str], None] = lambda text: None,
    calibrate: Calibrate | None = None,
) -> Graph:
    """Runs each transform once, in order; all are understood before the first one runs.

    The graph is verified after each. report is told of errors that are ignored. calibrate: observes the
    ranges of activations, for transforms that use them. Raises UsageError for what
    `bind` refuses, and the error of a transform that fails with its name in front.
    """
    calls = [bind(transform) for transform in transforms]
    graph = passes.checked(graph.clone())
    for call in calls:
        observing = {"calibrate": calibrate} if call.calibrated else {}
        try:
            changed = passes.checked(call.run(graph, **call.arguments, **observing))
        except BenchError as error:
            if not call.ignore_errors:
                raise type(error)(f"transform {call.name}: {error}") from error
            report(f"transform {call.name} left out: {error}")
            continue
        if observe is not None:
            observe(call.name, graph, changed)
        graph = changed
    return graph
