"""Measurements as lines of JSON: what goes in comes out exactly, and nothing else gets in."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from harness.errors import FormatError
from harness.records import Entry, checked, from_line, plain, to_line
from harness.results import Predictions, RunRecord
from tests.support.measurements import CELL, DATASET, RUN, contents, failed, measurement, process

texts = st.text(max_size=20)
int64 = st.integers(-(2**63), 2**63 - 1)
finite = st.floats(allow_nan=False, allow_infinity=False)
finite32 = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(
    ns=arrays.arrays(np.int64, st.integers(1, 50)),
    scores=arrays.arrays(np.float32, (2, 3), elements=finite32),
    settings=st.dictionaries(texts, st.none() | int64 | finite | texts | st.lists(texts)),
    name=texts,
    wall_s=finite,
)
def test_a_line_gives_back_what_went_in(ns, scores, settings, name, wall_s):
    run = RunRecord("2026", name, "x", settings, {name: name}, name, name)
    data = replace(DATASET, ids=(name, "b"))
    predictions = Predictions(np.zeros((2, 3), np.int32), scores)
    sample = replace(process(0), ns=ns, wall_s=wall_s)
    entry = Entry(run, replace(measurement(), processes=(sample,), dataset=data, predictions=predictions))
    again = from_line(to_line(entry))
    assert contents(again) == contents(entry)
    assert again.run == run
    assert again.measurement.processes[0].ns.dtype == np.int64
    assert again.measurement.predictions.scores.tobytes() == scores.tobytes()


def test_a_failed_cell():
    entry = Entry(RUN, failed())
    assert contents(from_line(to_line(entry))) == contents(entry)


def test_a_line_is_one_line():
    assert to_line(Entry(RUN, measurement())).count(b"\n") == 1


@given(st.data())
def test_any_change_of_a_line_is_noticed(data):
    line = bytearray(to_line(Entry(RUN, measurement())))
    at = data.draw(st.integers(0, len(line) - 2))
    changed = data.draw(st.integers(0, 255).filter(lambda byte: byte != line[at]))
    line[at] = changed
    try:
        again = from_line(bytes(line))
    except FormatError:
        return
    assert contents(again) == contents(Entry(RUN, measurement())), "only white space may differ"


def test_a_record_that_is_older_than_a_field():
    record = copy.deepcopy(plain(Entry(RUN, measurement())))
    del record["measurement"]["cell"]["load_ms"]
    assert checked(record).measurement.cell == replace(CELL, load_ms=None)


@given(st.integers(0, 2000))
def test_a_line_that_is_cut_off(length):
    line = to_line(Entry(RUN, measurement()))
    with pytest.raises(FormatError):
        from_line(line[: min(length, len(line) - 2)])


@given(st.binary(max_size=100) | st.text().map(str.encode))
def test_any_other_bytes(content):
    with pytest.raises(FormatError):
        from_line(content)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("measurement.cell.verdict", None, "record.measurement.cell.verdict must be of type str"),
        ("measurement.cell.emulated", 0, "must be of type bool"),
        ("measurement.cell.instructions", True, "must be of type int"),
        ("measurement.cell.instructions", 2**63, "must be of type int"),
        ("measurement.cell.reasons", "one", "reasons must be a list"),
        ("measurement.cell.device", "pi5", "not of the device"),
        ("measurement.cell", {}, "must have the fields device, arch"),
        ("measurement.info.facts", {"governor": 1}, "facts.governor must be of type str"),
        ("measurement.info.facts", [], "must be an object"),
        ("measurement.processes.0.ns", [1.5], "ns must be a list of numbers in 1 dimensions"),
        ("measurement.processes.0.ns", [2**63], "ns must be a list"),
        ("measurement.processes.0.ns", "12", "ns must be a list"),
        ("measurement.predictions.classes", [[1], [2, 3]], "classes must be a list of numbers in 2"),
        ("measurement.predictions.classes", [[1, 2]], "not equally many"),
        ("measurement.predictions.scores", [["a", "b"]] * 2, "scores must be a list"),
        ("measurement.predictions", None, "predictions and their data set go together"),
        ("measurement.dataset.ids", ["a"], "not equally many"),
        ("run.settings", None, "run.settings must be an object"),
        ("run.colour", "red", "run must have the fields"),
    ],
)
def test_a_record_of_another_shape(path, value, message):
    record = copy.deepcopy(plain(Entry(RUN, measurement())))
    *parents, last = path.split(".")
    place = record
    for name in parents:
        place = place[int(name) if name.isdecimal() else name]
    place[last] = value
    with pytest.raises(FormatError, match=message):
        checked(json.loads(json.dumps(record)))
