"""What is kept of preparing: found again, told apart, checked, and bounded in size."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import artifacts, cache
from harness.artifacts import fingerprint, provide

pytestmark = pytest.mark.usefixtures("fresh_cache")


class Maker:
    """Writes its content and counts how often."""

    def __init__(self, content=b"content"):
        self.content = content
        self.calls = 0

    def __call__(self, path):
        self.calls += 1
        path.write_bytes(self.content)
        return {"calls": self.calls}


@pytest.fixture
def make():
    return Maker()


def kept_files():
    return sorted(path for path in cache.folder("prepared").iterdir() if path.suffix != ".json")


def test_a_file_is_made_once_and_comes_back_with_its_facts(make, tmp_path):
    first = provide("x", tmp_path / "a", make)
    second = provide("x", tmp_path / "b", make)
    assert (make.calls, second.facts, second.sha256) == (1, {"calls": 1}, first.sha256)
    assert (tmp_path / "b").read_bytes() == make.content
    provide("y", tmp_path / "c", make)
    assert make.calls == 2


@pytest.mark.parametrize("damage", [b"c0ntent", b"", b"content and more"])
def test_a_damaged_file_is_made_again(make, tmp_path, damage):
    provide("x", tmp_path / "a", make)
    (tmp_path / "a").unlink()
    (kept,) = kept_files()
    kept.write_bytes(damage)
    assert provide("x", tmp_path / "b", make).facts == {"calls": 2}
    assert (tmp_path / "b").read_bytes() == make.content
    assert provide("x", tmp_path / "c", make).facts == {"calls": 2}


@pytest.mark.parametrize("record", [b"", b"[]", b'{"sha256": 1}', b"\xff", b'{"facts": {}}'])
def test_a_damaged_record_is_made_again(make, tmp_path, record):
    provide("x", tmp_path / "a", make)
    (kept,) = kept_files()
    kept.with_suffix(".json").write_bytes(record)
    assert provide("x", tmp_path / "b", make).facts == {"calls": 2}


def test_what_was_not_used_for_longest_goes_first(make, tmp_path):
    for i, name in enumerate("abc"):
        provide(name, tmp_path / name, make)
        os.utime(kept_files()[0].parent / fingerprint([artifacts._code(), name]), (i, i))
    provide("a", tmp_path / "again", make)  # now b is the oldest
    provide("d", tmp_path / "d", make, cap_bytes=3 * len(make.content))
    assert len(kept_files()) == 3
    assert (tmp_path / "b").read_bytes() == make.content  # a trial's own name stays
    made = make.calls
    provide("a", tmp_path / "a2", make)
    assert make.calls == made
    provide("b", tmp_path / "b2", make)
    assert make.calls == made + 1


def test_one_that_is_larger_than_the_cap_stays_until_the_next(make, tmp_path):
    provide("a", tmp_path / "a", make, cap_bytes=1)
    assert len(kept_files()) == 1
    provide("b", tmp_path / "b", make, cap_bytes=1)
    assert len(kept_files()) == 1


def test_another_disk_gets_a_copy(make, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    provide("x", tmp_path / "a", make)
    (tmp_path / "a").write_bytes(b"changed")
    provide("x", tmp_path / "b", make)
    assert (make.calls, (tmp_path / "b").read_bytes()) == (1, make.content)


def test_a_cache_that_cannot_take_it_is_no_error(make, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifacts, "_place", full)
    assert provide("x", tmp_path / "a", make).facts == {"calls": 1}
    assert provide("x", tmp_path / "b", make).facts == {"calls": 2}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


@given(VALUES, VALUES)
def test_only_what_is_written_the_same_has_the_same_fingerprint(a, b):
    assert (fingerprint(a) == fingerprint(b)) == (repr(a) == repr(b))


@pytest.mark.parametrize(
    "other",
    [
        np.zeros(4, np.float32),
        np.zeros((2, 2), np.int32),
        np.array([[0, 0], [0, 1]], np.float32),
        np.zeros((2, 2), np.float32).tolist(),
        None,
    ],
)
def test_arrays_differ_by_dtype_shape_and_values(other):
    assert fingerprint(np.zeros((2, 2), np.float32)) != fingerprint(other)
    assert fingerprint(np.asfortranarray(np.eye(2, 3))) == fingerprint(np.eye(2, 3))
    assert fingerprint(np.zeros((0, 2))) != fingerprint(np.zeros((2, 0)))


def test_a_path_stands_for_the_file_as_it_is(tmp_path):
    path = tmp_path / "x"
    seen = {fingerprint(path)}
    for content in (b"", b"1", b"2"):
        path.write_bytes(content)
        os.utime(path, ns=(0, len(seen)))
        seen.add(fingerprint(path))
    assert len(seen) == 4
