"""Downloads from a server that fails: each ends whole or with one line, in bounded time."""

import random
import socket
from dataclasses import dataclass, field

import pytest

from harness import download
from harness.download import CHUNK
from harness.errors import FormatError, UsageError
from tests.support.web import Fault, running_proxy, running_site, tls_context

CONTENT = random.Random(0).randbytes(300_000)


@pytest.fixture(scope="module")
def server():
    with running_site() as running:
        yield running


@pytest.fixture
def site(server, monkeypatch):
    """Without the environment's proxy, and with short waits."""
    monkeypatch.setattr(download, "PAUSES_S", (0.01, 0.01, 0.01))
    monkeypatch.setattr(download, "STALL_S", 0.2)
    monkeypatch.setenv("NO_PROXY", "*")
    server.pages.clear()
    server.asked.clear()
    return server


@dataclass
class Got:
    """A file to download into, and what was reported."""

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


def test_progress_is_in_megabytes(site, got):
    got.get(site.put("net.pb", bytes(3_000_000)))
    assert got.said[-1] == ("fetching net.pb, MB", 3, 3)


def test_what_was_cut_off_goes_on_where_it_stopped(site, got):
    url = site.put("net.pb", CONTENT, Fault(cut=2 * CHUNK), Fault(cut=CHUNK + 1000))
    assert got.get(url) == CONTENT
    assert site.ranges_asked == [None, f"bytes={2 * CHUNK}-", f"bytes={3 * CHUNK}-"]
    assert f"net.pb: broke off after {2 * CHUNK} of 300000 bytes; trying again" in [s[0] for s in got.said]


def test_a_later_call_goes_on_too(site, got):
    url = site.put("net.pb", CONTENT, Fault(cut=2 * CHUNK), *[Fault(status=503)] * 3)
    with pytest.raises(UsageError, match=r"net\.pb: the server says 503 Service Unavailable \(4 attempts\)$"):
        got.get(url)
    site.asked.clear()
    assert got.get(url) == CONTENT
    assert site.ranges_asked == [f"bytes={2 * CHUNK}-"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(cut=1000), "broke off after 0 of 300000 bytes"),
        (Fault(stall=CHUNK), "nothing came for 0.2 s"),
        (Fault(stall=0), "nothing came for 0.2 s"),
        (Fault(cut=0, unsized=True), "broke off after 0 of an unknown number of bytes"),
        (Fault(declared=300_001), f"broke off after {4 * CHUNK} of 300001 bytes"),
        (Fault(status=500), "the server says 500 Internal Server Error"),
        (Fault(status=429), "the server says 429 Too Many Requests"),
    ],
    ids=str,
)
def test_attempts_that_bring_nothing_new_end(site, got, fault, reason):
    with pytest.raises(UsageError) as failed:
        got.get(site.put("net.pb", CONTENT, fault, forever=True, ranges=False))
    assert str(failed.value).startswith(f"{site.url}/net.pb: {reason} (")
    assert len(site.asked) <= 5  # the first may bring something


@pytest.mark.parametrize(
    "fault", [Fault(status=500), Fault(stall=1000), Fault(cut=5), Fault(declared=400_000)]
)
def test_one_failure_is_got_over(site, got, fault):
    assert got.get(site.put("net.pb", CONTENT, fault)) == CONTENT


@pytest.mark.parametrize(("etag", "asked"), [(None, None), ('W/"1"', None), ('"1"', f"bytes={CHUNK}-")])
def test_only_a_version_that_is_known_is_gone_on_with(site, got, etag, asked):
    assert got.get(site.put("net.pb", CONTENT, Fault(cut=CHUNK), etag=etag)) == CONTENT
    assert site.ranges_asked == [None, asked]


def test_a_server_that_ignores_ranges_starts_anew(site, got):
    assert got.get(site.put("net.pb", CONTENT, Fault(cut=CHUNK), ranges=False)) == CONTENT
    assert site.ranges_asked == [None, f"bytes={CHUNK}-"]


def test_content_that_changes_between_two_attempts_is_not_mixed(site, got):
    url = site.put("net.pb", CONTENT, Fault(cut=2 * CHUNK), *[Fault(status=503)] * 3)
    with pytest.raises(UsageError, match="503"):
        got.get(url)
    site.put("net.pb", bytes(200_000), etag='"2"')
    assert got.get(url) == bytes(200_000)


@pytest.mark.parametrize(
    "false",
    [
        {"Content-Range": "bytes 5-299999/300000"},
        {"Content-Range": "bytes */*"},
        {"ETag": '"2"'},
    ],
    ids=str,
)
def test_another_part_than_was_asked_for_is_not_taken(site, got, false):
    url = site.put("net.pb", CONTENT, Fault(cut=CHUNK), Fault(headers=false))
    assert got.get(url) == CONTENT
    assert site.ranges_asked == [None, f"bytes={CHUNK}-", None]


def test_a_part_longer_than_the_whole_is_dropped(site, got):
    url = site.put("net.pb", CONTENT, Fault(cut=2 * CHUNK), *[Fault(status=503)] * 3)
    with pytest.raises(UsageError, match="503"):
        got.get(url)
    site.put("net.pb", CONTENT[:1000])
    assert got.get(url) == CONTENT[:1000]


@pytest.mark.parametrize("size", [299_999, 300_001])
def test_another_size_than_the_published_is_refused_before_it_is_read(site, got, size, tmp_path):
    with pytest.raises(FormatError, match=rf"net\.pb: 300000 bytes, but it should have {size}"):
        got.get(site.put("net.pb", CONTENT), size)
    assert list(tmp_path.iterdir()) == []
    assert got.said == []


def test_a_stream_that_does_not_end_in_time_is_refused(site, got, tmp_path, monkeypatch):
    with pytest.raises(FormatError, match=r"bytes, but it should have 100000"):
        got.get(site.put("net.pb", CONTENT, Fault(unsized=True)), 100_000)
    monkeypatch.setattr(download, "LARGEST", 100_000)
    with pytest.raises(FormatError, match=r"bytes, but it should have fewer"):
        got.get(site.put("net.pb", CONTENT, Fault(unsized=True)))
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_ends_early_is_tried_again(site, got):
    url = site.put("net.pb", CONTENT[:1000], Fault(unsized=True))
    site.pages["/net.pb"].faults.append(Fault(unsized=True))
    with pytest.raises(FormatError, match="1000 bytes, but it should have 300000"):
        got.get(url, len(CONTENT))


@pytest.mark.parametrize("status", [401, 403, 404, 410, 451])
def test_what_is_not_there_is_asked_for_once(site, got, status):
    with pytest.raises(UsageError, match=rf"net\.pb: the server says {status} \w"):
        got.get(site.put("net.pb", CONTENT, Fault(status=status)))
    assert len(site.asked) == 1


def test_redirects(site, got):
    there = site.put("there", CONTENT)
    assert got.get(site.put("here", location=there)) == CONTENT
    with pytest.raises(UsageError, match="loop: Exceeded 30 redirects"):
        got.get(site.put("loop", location=f"{site.url}/loop"))
    with pytest.raises(UsageError, match="local: No connection adapters"):
        got.get(site.put("local", location="file:///etc/passwd"))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://localhost/a", "http://", "net.pb"])
def test_only_the_web_is_asked(site, got, url):
    with pytest.raises(UsageError, match=f"^{url}: "):
        got.get(url)


def test_without_a_network_it_says_so_in_one_line(site, got):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/net.pb"
    with pytest.raises(UsageError, match=rf"^{url}: cannot be reached \(4 attempts\)$"):
        got.get(url)
    with pytest.raises(UsageError, match=r"^http://nowhere.invalid/a: cannot be reached \(4 attempts\)$"):
        got.get("http://nowhere.invalid/a")


def test_a_folder_that_cannot_be_written(site, tmp_path):
    with pytest.raises(UsageError, match="gone/part: cannot be written: No such file or directory"):
        Got(tmp_path / "gone" / "part").get(site.put("net.pb", CONTENT))


def test_through_a_proxy(site, got, monkeypatch):
    with running_proxy() as proxy:
        monkeypatch.delenv("NO_PROXY")
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        assert got.get(site.put("net.pb", CONTENT, Fault(cut=CHUNK))) == CONTENT
        assert [line.split()[:2] for line in proxy.asked] == [["GET", f"{site.url}/net.pb"]] * 2
    with pytest.raises(UsageError, match="the proxy cannot be reached or refuses"):
        got.get(site.put("net.pb", CONTENT))


@pytest.fixture
def secure(tmp_path, site, monkeypatch):
    """A site with a certificate that is trusted here."""
    context, certificate = tls_context(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with running_site(context) as running:
        yield running


def test_https_through_a_proxy(secure, got, monkeypatch):
    with running_proxy() as proxy:
        monkeypatch.delenv("NO_PROXY")
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("https_proxy", proxy.url)
        assert got.get(secure.put("net.pb", CONTENT)) == CONTENT
        assert proxy.asked[0].startswith(f"CONNECT {secure.url.removeprefix('https://')} ")


def test_a_certificate_that_nobody_vouches_for(secure, got, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(UsageError, match="net.pb: no trusted connection: .*self-signed certificate"):
        got.get(secure.put("net.pb", CONTENT))


def test_encryption_is_not_given_up_on_the_way(secure, site, got):
    there = site.put("there", CONTENT)
    with pytest.raises(UsageError, match=f"here: leads to {there}, which is not encrypted"):
        got.get(secure.put("here", location=there))
    assert not got.file.exists()
