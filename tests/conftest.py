"""Fixtures shared by every test."""

from pathlib import Path

import pytest

from harness import cache

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def lab() -> Path:
    """The shelf of real models and images beside the checkout; skips where it is absent."""
    folder = ROOT.parent / "shared" / "lab"
    if not folder.is_dir():
        pytest.skip(f"needs the lab shelf, which is not at {folder}")
    return folder


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own, but for the compiler's: its C libraries take a minute to build."""
    compiler_cache = cache.folder("zig")
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "zig").symlink_to(compiler_cache)
    monkeypatch.setenv("QUANTBENCH_CACHE", str(folder))
    return folder
