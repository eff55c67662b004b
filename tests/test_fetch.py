"""Published weights: fetched once, verified, kept."""

import hashlib
import io
import random
import tarfile

import pytest

from harness import fetch
from models import Download
from tests.support.web import running_site

WEIGHTS = random.Random(1).randbytes(200_000)


def silent(what, done=0, total=0):
    pass


def tgz(*members):
    """A .tar.gz of (name, content)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture(scope="module")
def server():
    with running_site() as running:
        yield running


@pytest.fixture
def site(server, monkeypatch, fresh_cache):
    monkeypatch.setenv("NO_PROXY", "*")
    server.pages.clear()
    server.asked.clear()
    return server


def test_an_archives_member_is_fetched_once(site):
    packed = tgz(("./README", b"hello"), ("./net/net.pb", WEIGHTS))
    wanted = Download(
        site.put("net.tgz", packed), "net/net.pb", len(packed), hashlib.sha256(packed).hexdigest()
    )
    assert fetch.cached(wanted) is None
    found = fetch.path(wanted, silent)
    assert (found.name, found.read_bytes()) == ("net.pb", WEIGHTS)
    assert fetch.cached(wanted) == fetch.path(wanted, silent) == found
    assert len(site.asked) == 1
