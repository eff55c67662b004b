"""Fixtures shared by every test."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def lab() -> Path:
    """The shelf of real models and images beside the checkout; skips where it is absent."""
    folder = ROOT.parent / "shared" / "lab"
    if not folder.is_dir():
        pytest.skip(f"needs the lab shelf, which is not at {folder}")
    return folder
