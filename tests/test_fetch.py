"""Published weights: fetched once, verified, kept; what changes later is refused."""

import fcntl
import gzip
import hashlib
import multiprocessing
import os
import random
import threading

import pytest

from harness import cache, download, fetch
from harness.errors import FormatError, UsageError
from models import Download
from tests.support.archives import a_tar, a_zip
from tests.support.web import Fault, running_site

WEIGHTS, OTHER = random.Random(1).randbytes(200_000), random.Random(2).randbytes(200_000)


def silent(what, done=0, total=0):
    pass


def tgz(weights=WEIGHTS):
    return gzip.compress(a_tar([("./README", b"hello"), ("./net/net.pb", weights)]), 1, mtime=0)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def server():
    with running_site() as running:
        yield running


@pytest.fixture
def site(server, monkeypatch, fresh_cache):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(download, "PAUSES_S", (0.01,))
    server.pages.clear()
    server.asked.clear()
    return server


def forget(wanted):
    """Removes the file, and leaves the record of its digest."""
    fetch.cached(wanted).unlink()


@pytest.mark.parametrize("packed", [tgz(), a_zip([("net/net.pb", WEIGHTS)])], ids=["tgz", "zip"])
def test_an_archives_member_is_fetched_once(site, packed):
    wanted = Download(site.put("net.tgz", packed), "net/net.pb", len(packed), sha256(packed))
    assert fetch.cached(wanted) is None
    found = fetch.path(wanted, silent)
    assert (found.name, found.read_bytes()) == ("net.pb", WEIGHTS)
    assert fetch.cached(wanted) == fetch.path(wanted, silent) == found
    assert len(site.asked) == 1
    assert sorted(path.name for path in found.parent.parent.iterdir()) == [".lock", "net"]


def test_a_file_that_is_not_packed(site):
    wanted = Download(site.put("net.tflite?raw=true", WEIGHTS))
    assert fetch.path(wanted, silent).read_bytes() == WEIGHTS
    assert fetch.cached(wanted).name == "net.tflite"


def test_looking_leaves_no_trace(fresh_cache):
    assert fetch.cached(Download("http://localhost/net.pb")) is None
    assert list((fresh_cache / "weights").iterdir()) == []


def test_files_of_one_name_are_kept_apart(site):
    one, two = Download(site.put("1/net.pb", WEIGHTS)), Download(site.put("2/net.pb", OTHER))
    assert fetch.path(one, silent).read_bytes() == WEIGHTS
    assert fetch.path(two, silent).read_bytes() == OTHER
    assert fetch.path(one, silent).read_bytes() == WEIGHTS


def test_content_that_is_not_what_was_published(site):
    packed = tgz()
    wanted = Download(site.put("net.tgz", packed), "net/net.pb", sha256=sha256(b"another"))
    message = rf"net\.tgz: is not net\.tgz as published: sha256 {sha256(packed)}, not {sha256(b'another')}$"
    for _ in range(2):  # nothing of the wrong file stays for the next
        with pytest.raises(FormatError, match=message):
            fetch.path(wanted, silent)
        assert fetch.cached(wanted) is None
    wanted = Download(wanted.url, wanted.member, len(packed) + 1)
    with pytest.raises(FormatError, match=f"{len(packed)} bytes, but it should have {len(packed) + 1}"):
        fetch.path(wanted, silent)


def test_what_is_published_without_a_digest_is_trusted_once(site):
    wanted = Download(site.put("net.tgz", tgz()), "net/net.pb")
    fetch.path(wanted, silent)
    record = next(cache.folder("digests").iterdir())
    assert record.read_text() == f"{sha256(tgz())}  net.tgz\n{sha256(WEIGHTS)}  net/net.pb\n"
    forget(wanted)
    site.put("net.tgz", tgz(OTHER))
    with pytest.raises(FormatError) as refused:
        fetch.path(wanted, silent)
    assert str(refused.value) == (
        f"{wanted.url}: net.tgz is not what it was when it was first seen (sha256 {sha256(tgz(OTHER))}, then "
        f"{sha256(tgz())}); to trust it as it is now: rm '{record}'"
    )
    assert fetch.cached(wanted) is None
    record.unlink()
    assert fetch.path(wanted, silent).read_bytes() == OTHER


def test_a_refused_archive_leaves_no_record(site):
    wanted = Download(site.put("net.tgz", gzip.compress(a_tar([("../evil", b"x")]))), "net/net.pb")
    with pytest.raises(FormatError, match="hostile archive"):
        fetch.path(wanted, silent)
    site.put("net.tgz", tgz())
    assert fetch.path(wanted, silent).read_bytes() == WEIGHTS


def test_a_page_in_place_of_an_archive(site):
    """What a hotel's network answers to everything."""
    wanted = Download(site.put("net.tgz", b"<html>Welcome! Please log in." * 100), "net/net.pb")
    with pytest.raises(FormatError, match="cannot be unpacked"):
        fetch.path(wanted, silent)
    assert fetch.cached(wanted) is None


def test_a_file_that_was_changed_in_the_cache(site):
    wanted = Download(site.put("net.pb", WEIGHTS))
    kept = fetch.path(wanted, silent)
    kept.write_bytes(OTHER)
    with pytest.raises(FormatError, match=rf"was changed after it was fetched; remove it: rm '{kept}'"):
        fetch.path(wanted, silent)


def test_without_a_network_it_says_what_to_do(site, monkeypatch):
    wanted = Download(site.put("net.tgz", b"", Fault(status=404)), "net/net.pb")
    with pytest.raises(UsageError) as failed:
        fetch.path(wanted, silent)
    assert str(failed.value) == (
        f"{wanted.url}: the server says 404 Not Found; "
        "get it elsewhere, then: bench models fetch NAME --from net.tgz"
    )


def test_a_download_that_was_cut_off_goes_on_in_the_next_call(site):
    packed = tgz()
    url = site.put("net.tgz", packed, Fault(cut=70_000), *[Fault(status=500)] * 2)
    wanted = Download(url, "net/net.pb")
    with pytest.raises(UsageError, match="500"):
        fetch.path(wanted, silent)
    assert fetch.path(wanted, silent).read_bytes() == WEIGHTS
    assert site.ranges_asked[-1] == "bytes=65536-"


@pytest.mark.parametrize("name", ["net.tgz", "any.zip", "net.pb"])
def test_what_the_user_has_is_taken(site, tmp_path, name):
    wanted = Download(f"{site.url}/net.tgz", "net/net.pb")
    given = tmp_path / name
    given.write_bytes(
        {"net.tgz": tgz(), "any.zip": a_zip([("net/net.pb", WEIGHTS)]), "net.pb": WEIGHTS}[name]
    )
    assert fetch.take(wanted, given, silent).read_bytes() == WEIGHTS
    assert fetch.path(wanted, silent).read_bytes() == WEIGHTS
    assert site.asked == []
    assert given.exists()


def test_what_the_user_has_is_verified(site, tmp_path):
    wanted = Download(site.put("net.tgz", tgz()), "net/net.pb", sha256=sha256(tgz()))
    (tmp_path / "net.tgz").write_bytes(tgz(OTHER))
    with pytest.raises(FormatError, match=rf"^{tmp_path}/net\.tgz: is not net\.tgz as published"):
        fetch.take(wanted, tmp_path / "net.tgz", silent)
    fetch.path(wanted, silent)
    (tmp_path / "net.pb").write_bytes(OTHER)
    with pytest.raises(FormatError, match=rf"^{tmp_path}/net\.pb: net/net\.pb is not what it was"):
        fetch.take(wanted, tmp_path / "net.pb", silent)
    assert fetch.path(wanted, silent).read_bytes() == WEIGHTS
    with pytest.raises(FormatError, match="is not net.pb as published|has 200000 bytes, but net.pb has 5"):
        fetch.take(Download("http://localhost/net.pb", size=5), tmp_path / "net.pb", silent)


def test_a_folder_is_searched_for_the_published_names(tmp_path):
    wanted = Download("http://localhost/a/net.tgz", "net/net.pb")
    assert fetch.file_names(wanted) == ["net.tgz", "net/net.pb", "net.pb"]
    assert fetch.find(wanted, tmp_path) is None
    for name in ("net.pb", "net/net.pb", "net.tgz"):  # the best is found last
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        assert fetch.find(wanted, tmp_path) == tmp_path / name
    assert fetch.find(wanted, tmp_path / "net.pb") == tmp_path / "net.pb"
    (tmp_path / "mine.pb").touch()
    assert fetch.find(wanted, tmp_path / "mine.pb") is None


def fetched_sha256(wanted):
    return sha256(fetch.path(wanted, silent).read_bytes())


def test_two_processes_fetch_it_once(site):
    wanted = Download(site.put("net.tgz", tgz(), Fault(cut=70_000)), "net/net.pb")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(fetched_sha256, [wanted] * 4) == [sha256(WEIGHTS)] * 4
    assert len(site.asked) == 2


def test_who_waits_for_another_process_says_so(site):
    wanted = Download(site.put("net.pb", WEIGHTS))
    folder = cache.folder("weights", fetch._Shelf(wanted).name)
    said, waiting = [], threading.Event()

    def progress(what, done=0, total=0):
        said.append(what)
        waiting.set()

    with (folder / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        thread = threading.Thread(target=fetch.path, args=(wanted, progress))
        thread.start()
        assert waiting.wait(10)
        assert site.asked == []
    thread.join(10)
    assert said[0] == "waiting for another process that fetches net.pb"
    assert fetch.cached(wanted)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written(site, fresh_cache):
    wanted = Download(site.put("net.pb", WEIGHTS))
    (fresh_cache / "weights").mkdir()
    (fresh_cache / "weights").chmod(0o500)
    with pytest.raises(UsageError, match="weights/net.pb-.*: Permission denied"):
        fetch.path(wanted, silent)


def test_a_cache_that_is_a_file(site, fresh_cache):
    wanted = Download(site.put("net.pb", WEIGHTS))
    cache.folder("weights").joinpath(fetch._Shelf(wanted).name).touch()
    with pytest.raises(UsageError, match=r"weights/net\.pb-\w+: File exists"):
        fetch.path(wanted, silent)


def test_an_encrypted_archive(site, tmp_path):
    content = bytearray(a_zip([("net/net.pb", WEIGHTS)]))
    for header, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + offset] |= 1
    (tmp_path / "net.zip").write_bytes(content)
    with pytest.raises(FormatError, match="cannot be unpacked: .*encrypted"):
        fetch.take(Download("http://localhost/net.zip", "net/net.pb"), tmp_path / "net.zip", silent)
