"""Files that the runner is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import pack
from tests.support.runner_files import dataset_bytes, float_graph, pixels


@pytest.fixture
def model(tmp_path) -> Path:
    path = tmp_path / "small.qbm"
    pack.write(float_graph(), path)
    return path


@pytest.fixture
def data(tmp_path) -> Path:
    path = tmp_path / "pixels.qbd"
    path.write_bytes(dataset_bytes(pixels(150), (1 / 64,) * 2, (128.0,) * 2))
    return path
