"""The runner's lines: exactly the contract passes, everything else is refused with one harmless line."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devices import RunResult
from harness import runner_output
from harness.errors import TrialError
from harness.runner_events import MAX_LINE_BYTES, Info, StartInfo, parse_lines
from tests.support.fake_device import END, latency_events, lines, start, top_events

NONCE = "abc123"


def ok(*events: dict) -> RunResult:
    return RunResult(0, lines(NONCE, *events), b"")


def refusal(call, *args) -> str:
    """The message of the TrialError that the call raises: one line, nothing in it that moves a cursor."""
    with pytest.raises(TrialError) as caught:
        call(*args)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 600
    return message


def latency(events: list[dict]):
    return runner_output.read_latency(ok(*events), NONCE)


def test_latency_output():
    started, cold, warmup, usage, ns = latency(latency_events([1000 + i for i in range(130)]))
    assert (started.core, started.isa, started.load_ns) == (3, "neon", 300)
    assert (cold.ns, warmup.runs, usage.vm_hwm_kb) == (3000, 5, 1000)
    np.testing.assert_array_equal(ns, np.arange(1000, 1130))
    assert ns.dtype == np.int64


def test_accuracy_output_in_batches():
    events = top_events([[3, 1], [0, 2]], first=10)
    events[2:2] = top_events([[1, 0]], first=12)[1:2]
    classes, scores = runner_output.read_accuracy(ok(*events), NONCE, 10)
    assert classes.tolist() == [[3, 1], [0, 2], [1, 0]]
    assert scores.tolist() == [[1, 0.5]] * 3


def test_info_output():
    info = {"event": "info", "arch": "armv7", "features": [], "isas": ["scalar"], "page_size": 4096}
    first = {"event": "start", "mode": "info", "version": "1", "arch": "armv7", "isa": "scalar", "core": None}
    started, events = runner_output.read(ok(first, info | {"cores": 4}, END), NONCE, "info")
    assert started == StartInfo("info", "1", "armv7", "scalar", None)
    assert events == [Info("armv7", (), ("scalar",), 4096, 4)]


def range_event(sample: int, low: float = -1.0, high: float = 2.5) -> dict:
    return {"event": "range", "sample": sample, "tensors": [0, 3], "min": [low, 0], "max": [high, 6]}


def test_ranges():
    events = [start("calibrate"), range_event(4), range_event(5, high=3.5), END]
    tensors, low, high = runner_output.read_ranges(ok(*events), NONCE, 4, 2)
    assert tensors.tolist() == [0, 3]
    assert low.tolist() == [[-1, 0], [-1, 0]]
    assert high.tolist() == [[2.5, 6], [3.5, 6]]


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        ([range_event(4)], "samples 4 to 5"),
        ([range_event(5), range_event(4)], "samples 4 to 5"),
        ([range_event(4), range_event(5) | {"tensors": [0, 2]}], "other tensors"),
        ([range_event(4), range_event(5) | {"tensors": [0, 3, 4]}], "other tensors"),
        ([range_event(4) | {"tensors": [3, 3]}, range_event(5) | {"tensors": [3, 3]}], "other tensors"),
        ([range_event(4), range_event(5) | {"max": [1]}], "missing or reversed"),
        ([range_event(4), range_event(5, low=9)], "missing or reversed"),
    ],
)
def test_ranges_refused(samples, why):
    output = ok(start("calibrate"), *samples, END)
    assert why in refusal(runner_output.read_ranges, output, NONCE, 4, 2)


# --- how a runner ends ---


def test_signal_is_named():
    result = RunResult(None, b"", b"", signal="SIGSEGV")
    assert refusal(runner_output.read, result, NONCE, "latency") == "the runner died of SIGSEGV"


def test_signal_outweighs_complete_output():
    result = RunResult(None, lines(NONCE, *latency_events([5])), b"", signal="SIGKILL")
    assert "SIGKILL" in refusal(runner_output.read_latency, result, NONCE)


@pytest.mark.parametrize("exit_code", [0, 2])
def test_error_event_is_quoted_harmlessly(exit_code):
    error = {"event": "error", "message": "model.qbm: \x1b[2Jnode 3\nnext"}
    output = RunResult(exit_code, b"garbage\n" + lines(NONCE, error), b"")
    message = refusal(runner_output.read, output, NONCE, "latency")
    assert message == "the runner says: model.qbm: \\x1b[2Jnode 3\\nnext"


def test_exit_code_comes_with_the_last_words():
    result = RunResult(2, b"", b"first\nunknown option \xff\x1b[0m\n")
    message = refusal(runner_output.read, result, NONCE, "latency")
    assert message == "the runner ended with exit code 2: unknown option \ufffd\\x1b[0m"


def test_exit_code_outweighs_complete_output():
    result = RunResult(1, lines(NONCE, *latency_events([5])), b"")
    assert "exit code 1" in refusal(runner_output.read_latency, result, NONCE)


def test_output_beyond_the_cap_is_refused():
    result = RunResult(0, lines(NONCE, *latency_events([5])), b"", truncated=True)
    assert "output limit" in refusal(runner_output.read_latency, result, NONCE)


def test_wrong_mode():
    assert "'profile', not 'latency'" in refusal(latency, [start("profile"), END])


# --- the sequence of events ---


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda e: e[1:], "from 'start' to 'end'"),
        (lambda e: e[:-1], "from 'start' to 'end'"),
        (lambda e: [], "from 'start' to 'end'"),
        (lambda e: [*e[:-1], END | {"status": "bad"}], "from 'start' to 'end'"),
        (lambda e: [e[0], *e], "unexpected 'start'"),
        (lambda e: [*e, END], "unexpected 'end'"),
        (lambda e: [e[0], e[1], *e[1:]], "2 'cold' events"),
        (lambda e: [e[0], *e[2:]], "0 'cold' events"),
        (lambda e: [*e[:2], *e[3:]], "0 'warmup' events"),
        (lambda e: [*e[:3], *e[4:]], "no timed runs"),
        (lambda e: [*e[:4], *e[5:]], "0 'usage' events"),
        (lambda e: [*e[:3], top_events([[1]])[1], *e[3:]], "unexpected 'top'"),
    ],
)
def test_latency_sequence(change, why):
    assert why in refusal(latency, change(latency_events([5, 6])))


@pytest.mark.parametrize(
    ("events", "why"),
    [
        (top_events([[1, 2]], first=1), "goes on at sample 1, not 0"),
        ([*top_events([[1, 2]])[:2], *top_events([[1, 2]])[1:]], "goes on at sample 0, not 1"),
        (top_events([[1, 2], [1]]), "sample 1: not 2 classes"),
        (top_events([[1, 1]]), "given twice"),
        (top_events([[1 << 40, 1]]), "impossible"),
        (top_events([[1, 2]], scores=[[0.5, 0.5], [0.5, 0.5]]), "differ in number"),
        (top_events([[1, 2]], scores=[[0.1, 0.2]]), "highest first"),
    ],
)
def test_accuracy_refused(events, why):
    assert why in refusal(runner_output.read_accuracy, ok(*events), NONCE, 0)


def node(index: int, **fields: object) -> dict:
    known = {"name": "conv", "op": "CONV_2D", "arithmetic": "f32", "kernel": "gemm", "macs": 1, "bytes": 2}
    return {"event": "node", "index": index, "ns": [5, 6], **known} | fields


@pytest.mark.parametrize("nodes", [[], [node(1)], [node(0), node(0)], [node(0), node(1, ns=[5])]])
def test_profile_refused(nodes):
    refusal(runner_output.read_profile, ok(start("profile"), *nodes, END), NONCE)


# --- single lines ---

COLD = {"event": "cold", "ns": 5}


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (COLD | {"ns": -5}, "'ns' is not a count"),
        (COLD | {"ns": 0}, "above zero"),
        (COLD | {"ns": 1.5}, "'ns' is not a count"),
        (COLD | {"ns": True}, "'ns' is not a count"),
        (COLD | {"ns": "5"}, "'ns' is not a count"),
        (COLD | {"ns": None}, "'ns' is not a count"),
        (COLD | {"ns": 2**63}, "'ns' is not a count"),
        (COLD | {"extra\x1b[1m": 1}, "unknown field"),
        ({"event": "cold"}, "lacks 'ns'"),
        ({"event": "gold\x07"}, "unknown event"),
        ({"event": ["cold"]}, "unknown event"),
        ({}, "unknown event"),
        (COLD | {"nonce": "other"}, "nonce"),
        (COLD | {"nonce": None}, "nonce"),
        ({"event": "samples", "ns": []}, "not a list with entries"),
        ({"event": "samples", "ns": [1] * 70000}, "not a list with entries"),
        ({"event": "samples", "ns": {"0": 1}}, "not a list with entries"),
        (range_event(0) | {"min": [10**400, 0]}, "finite"),
        (start("latency", core=-1), "'core' is not a count"),
        (start("latency", model=3), "'model' is not text"),
    ],
)
def test_line_refused(event, why):
    message = refusal(parse_lines, lines(NONCE, event), NONCE)
    assert message.startswith("the runner's output, line 1: ")
    assert why in message


@pytest.mark.parametrize(
    "line",
    [
        b'{"nonce":"abc123","event":"cold","ns":NaN}',
        b'{"nonce":"abc123","event":"range","sample":0,"tensors":[0],"min":[-Infinity],"max":[0]}',
        b'{"nonce":"abc123","event":"range","sample":0,"tensors":[0],"min":[0],"max":[1e999]}',
        b'{"nonce":"abc123","event":"cold","ns":5,"ns":6}',
        b'{"nonce":"abc123","event":"cold","ns":5} trailing',
        b'{"nonce":"abc123","event":"cold","ns":' + b"9" * 5000 + b"}",
        b'["nonce","abc123"]',
        b"",
        b"\xff\xfe",
        b'\xed\xa0\x80{"nonce":"abc123"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'"' + b"x" * MAX_LINE_BYTES + b'"',
    ],
)
def test_bytes_refused(line):
    assert "line 1" in refusal(parse_lines, line + b"\n", NONCE)


def test_last_line_must_be_whole():
    whole = lines(NONCE, COLD, COLD)
    assert "in the middle of line 2" in refusal(parse_lines, whole[:-1], NONCE)


def test_text_from_the_device_is_made_harmless():
    (event,) = parse_lines(lines(NONCE, start("latency", model="<b>\x1b]0;pwn\x07")), NONCE)
    assert event.model == "<b>\\x1b]0;pwn\\x07"


def test_long_error_message_is_cut():
    output = ok({"event": "error", "message": "x" * 100_000})
    assert len(refusal(runner_output.read, output, NONCE, "latency")) < 400


# --- properties ---

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
real_output = lines(NONCE, *latency_events([5, 6]), *top_events([[1, 2]]), *[range_event(0), node(0)])
real_lines = [json.loads(line) for line in real_output.splitlines()]


def complaint(read, *args) -> str:
    try:
        read(*args)
    except TrialError as error:
        return str(error)
    return ""


def reads_or_refuses(stdout: bytes) -> None:
    """Nothing but a TrialError may come out of a reader, and that is fit for a terminal."""
    result = RunResult(0, stdout, b"")
    assert complaint(runner_output.read_latency, result, NONCE).isprintable()
    assert complaint(runner_output.read_accuracy, result, NONCE, 0).isprintable()
    assert complaint(runner_output.read_profile, result, NONCE).isprintable()
    assert complaint(runner_output.read_ranges, result, NONCE, 0, 1).isprintable()


@given(st.binary(max_size=300))
@example(b"\n")
@example(b"null\n")
def test_any_bytes_are_read_or_refused(stdout):
    reads_or_refuses(stdout)


@settings(max_examples=300)
@given(st.lists(st.sampled_from(real_lines), max_size=9), st.data())
def test_any_change_to_a_field_is_read_or_refused(events, data):
    events = [dict(event) for event in events]
    if events:
        victim = data.draw(st.sampled_from(events))
        victim[data.draw(st.sampled_from([*victim, "new"]))] = data.draw(json_values)
    reads_or_refuses(b"".join(json.dumps(event).encode() + b"\n" for event in events))


@settings(max_examples=300)
@given(st.integers(0, 2000), st.integers(0, 255))
def test_any_flipped_byte_is_read_or_refused(position, value):
    stdout = bytearray(lines(NONCE, *latency_events([5, 6])))
    stdout[position % len(stdout)] = value
    reads_or_refuses(bytes(stdout))


@given(st.lists(st.integers(1, 2**63 - 1), min_size=1, max_size=200))
def test_samples_survive_the_round_trip(ns):
    events = latency_events([1])
    events[3]["ns"] = ns
    assert latency(events)[-1].tolist() == ns


def test_nonces_differ_and_fit_the_runner():
    nonces = {runner_output.new_nonce() for _ in range(100)}
    assert len(nonces) == 100
    assert all(nonce.isalnum() and len(nonce) <= 64 for nonce in nonces)


def test_parser_needs_nothing_above_it():
    """Calibration, far below the trials, reads ranges with it."""
    code = "import sys, harness.runner_output; print([m for m in sys.modules if m.startswith('harness.')])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    ).stdout
    assert "harness.trial" not in loaded
