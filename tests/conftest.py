"""Fixtures shared by every test."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from harness import cache
from tests.support.postgres import Server, server
from tests.support.sshd import Sshd, running_sshd

ROOT = Path(__file__).parent.parent

# The same examples on every run, and no verdict that depends on how busy the machine is.
hypothesis.settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("repeatable")


# What may be shared with everything else that runs here; the devices' work folders and leases may not.
BUILT = ("networks", "plugins", "runners", "test-programs", "virtual_pi", "zig")


@pytest.fixture(scope="session", autouse=True)
def own_devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Devices for this test process alone: one lease per device would make others wait."""
    folder = tmp_path_factory.mktemp("cache")
    for name in BUILT:
        (folder / name).symlink_to(cache.folder(name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUANTBENCH_CACHE", str(folder))
        yield


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


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A real PostgreSQL server; skips where none is installed."""
    with server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The place of an empty results database: a file, then a database of a PostgreSQL server."""
    if request.param == "sqlite":
        return str(tmp_path / "results.db")
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture(scope="session")
def shared_sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A real SSH server on loopback that no test may stop; skips where none is installed."""
    with running_sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running
