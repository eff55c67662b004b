"""Where the sides of a comparison come from."""

import json

import pytest

from harness import releases
from harness.errors import FormatError, UsageError
from harness.regression import compare
from harness.results import INVALID
from harness.store import Store
from tests.support.releases import add, measurement


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "results.db") as opened:
        yield opened


def test_a_side_is_a_release_or_a_runs_id_or_a_file(store, tmp_path):
    add(store, "1.0", measurement(10))
    add(store, None, measurement(10))
    assert list(releases.read("1.0", store).cells) == [("pi4", "net", "int8")]
    assert list(releases.read("2", store).cells) == [("pi4", "net", "int8")]
    with pytest.raises(UsageError, match="did you mean 1.0"):
        releases.read("1.00", store)
    with pytest.raises(UsageError, match="no cell of that device"):
        releases.read("1.0", store, ["pi5"])
    path = tmp_path / "table.json"
    path.write_text(json.dumps({"schema": 1, "cells": [measurement(10).cell.as_json()]}))
    found = compare(releases.read(str(path), None), releases.read("1.0", store))
    assert "a file has no raw samples" in found.findings[0].reason


def test_the_newest_valid_measurement_counts(store):
    for ms, changes in ((10, {}), (11, {}), (99, {"verdict": INVALID, "reasons": ("throttled",)})):
        add(store, "1.0", measurement(ms, **changes))
    side = releases.read("1.0", store)
    assert side.newest(("pi4", "net", "int8")).cell.latency_ms.median == pytest.approx(11, rel=0.01)


def test_a_file_without_a_newer_field_can_still_be_read(tmp_path):
    entry = measurement(None).cell.as_json()
    del entry["energy_mj"]
    path = tmp_path / "table.json"
    path.write_text(json.dumps({"schema": 1, "cells": [entry]}))
    assert releases.read(str(path), None).cells


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"schema": 2, "cells": []}',
        b'{"schema": 1, "cells": {}}',
        b'{"schema": 1, "cells": [1]}',
        b'{"schema": 1, "cells": [{"device": 1}]}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_foreign_files_are_refused_by_name(tmp_path, content):
    path = tmp_path / "table.json"
    path.write_bytes(content)
    with pytest.raises(FormatError, match="table.json"):
        releases.read(str(path), None)
