"""Downloads from a server that fails: each ends whole or with one line, in bounded time."""

import random
from dataclasses import dataclass, field

import pytest

from harness import download
from harness.download import CHUNK
from tests.support.web import Fault, running_site

CONTENT = random.Random(0).randbytes(300_000)


@pytest.fixture(scope="module")
def server():
    with running_site() as running:
        yield running


@pytest.fixture
def site(server, monkeypatch):
    """Without the environment's proxy, and with short waits."""
    monkeypatch.setattr(download, "PAUSES_S", (0.01, 0.01, 0.01))
    monkeypatch.setattr(download, "STALL_S", 0.3)
    monkeypatch.setenv("NO_PROXY", "*")
    server.pages.clear()
    server.asked.clear()
    return server


@dataclass
class Got:
    """A folder to download into, and what was reported."""

    file: object
    said: list = field(default_factory=list)

    def get(self, url, size=None):
        download.get(url, self.file, size, lambda *step: self.said.append(step))
        return self.file.read_bytes()


@pytest.fixture
def got(tmp_path):
    return Got(tmp_path / "part")


def test_a_file_arrives_and_nothing_else_stays(site, got, tmp_path):
    assert got.get(site.put("net.pb", CONTENT), len(CONTENT)) == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["part"]
    assert got.said[-1] == ("fetching net.pb, MB", 0, 0)


def test_what_was_cut_off_goes_on_where_it_stopped(site, got):
    url = site.put("net.pb", CONTENT, Fault(cut=2 * CHUNK), Fault(cut=CHUNK + 1000))
    assert got.get(url) == CONTENT
    assert site.ranges_asked == [None, f"bytes={2 * CHUNK}-", f"bytes={3 * CHUNK}-"]
    assert f"net.pb: broke off after {2 * CHUNK} of 300000 bytes; trying again" in [s[0] for s in got.said]
