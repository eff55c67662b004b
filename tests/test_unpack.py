"""One member out of archives, honest and hostile."""

import gzip
import io
import stat
import tarfile
import time
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import unpack
from harness.errors import FormatError
from harness.files import leads_out
from harness.unpack import extract, is_archive
from tests.support.archives import a_tar, a_zip, link

NET = b"weights" * 1000


@pytest.fixture
def wanted(tmp_path):
    """Writes an archive and takes `net/net.pb` out of it."""

    def take(content, member="net/net.pb"):
        (tmp_path / "in").write_bytes(content)
        extract(tmp_path / "in", member, tmp_path / "out")
        return (tmp_path / "out").read_bytes()

    return take


HONEST = [("README", b"hello"), ("net/", b""), ("net/net.pb", NET), ("labels.txt", b"a\nb\n")]


@pytest.mark.parametrize("pack", [a_tar, lambda members: gzip.compress(a_tar(members)), a_zip])
def test_the_wanted_member_alone_is_written(wanted, tmp_path, pack):
    assert wanted(pack(HONEST)) == NET
    assert is_archive(tmp_path / "in")
    assert not is_archive(tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}


@pytest.mark.parametrize("name", ["./net/net.pb", "net/net.pb", "models/net/net.pb"])
def test_a_member_is_known_by_the_last_part_of_its_path(wanted, name):
    assert wanted(a_tar([(name, NET), ("other.net.pb", b""), ("xnet/net.pb", b"")])) == NET


@pytest.mark.parametrize("pack", [a_tar, a_zip])
@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("../evil", b"x"), *HONEST], r"hostile archive: '\.\./evil' leads out"),
        ([*HONEST, ("net/../../evil", b"x")], "leads out"),
        ([*HONEST, ("/etc/cron.d/evil", b"x")], "leads out"),
        ([*HONEST, ("..\\evil", b"x")], "leads out"),
        ([*HONEST, ("C:\\evil", b"x")], "leads out"),
        ([*HONEST, ("copy/net/net.pb", b"x")], r"holds 'net/net\.pb' 2 times"),
        ([("a", b""), ("b\x1b[31m", b"")], r"holds no 'net/net\.pb'; it holds a, b\\x1b\[31m$"),
        ([link("net/net.pb", "/etc/passwd")], r"'net/net\.pb' is not a plain file"),
        ([("a", NET), link("net/net.pb", "a")], r"'net/net\.pb' is not a plain file"),
        ([("net/net.pb/", b"")], r"'net/net\.pb' is not a plain file"),
    ],
    ids=str,
)
def test_a_hostile_archive_is_refused(wanted, tmp_path, pack, members, message):
    with pytest.raises(FormatError, match=rf"^{tmp_path}/in: .*{message}"):
        wanted(pack(members))
    assert {path.name for path in tmp_path.iterdir()} <= {"in", "out"}


@pytest.mark.parametrize(
    "kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE]
)
def test_what_is_no_file_is_not_taken_for_one(wanted, kind):
    with pytest.raises(FormatError, match="is not a plain file"):
        wanted(a_tar([("net/net.pb", kind)]))


def bomb(size):
    """A tar whose one member is zeros."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("net/net.pb")
        info.size = size
        archive.addfile(info, io.BytesIO(bytes(size)))
    return packed.getvalue()


def zip_bomb(size):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/net.pb", bytes(size))
    return packed.getvalue()


@pytest.mark.parametrize("pack", [bomb, zip_bomb])
def test_a_bomb_is_refused_before_it_goes_off(wanted, tmp_path, monkeypatch, pack):
    monkeypatch.setattr(unpack, "LARGEST", 1 << 20)
    with pytest.raises(FormatError, match="unpacks to more than 1048576 bytes"):
        wanted(pack((1 << 20) + 1))
    assert (tmp_path / "out").stat().st_size == 0


def test_a_bomb_of_members(wanted, monkeypatch):
    monkeypatch.setattr(unpack, "MOST_MEMBERS", 100)
    with pytest.raises(FormatError, match="or 100 members"):
        wanted(a_tar([(str(i), b"") for i in range(101)]))


def test_zeros_after_the_end_are_bounded_too(wanted, monkeypatch):
    monkeypatch.setattr(unpack, "LARGEST", 1 << 20)
    monkeypatch.setattr(unpack, "MOST_MEMBERS", 10)
    with pytest.raises(FormatError, match="cannot be unpacked: it goes on after byte"):
        wanted(gzip.compress(a_tar(HONEST) + bytes(1 << 22)))


def header(size_field, kind=tarfile.REGTYPE, name="net/net.pb"):
    """A tar header with a size of its own, its checksum right."""
    info = tarfile.TarInfo(name)
    info.type = kind
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = size_field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    "content",
    [
        header(b"\xff" * 11 + b"\x00"),  # a negative size: an older tarfile reads the same member for ever
        header(b"\xff" * 12, tarfile.XHDTYPE),
        header(b"77777777777\0", tarfile.XHDTYPE),  # 8 GiB of names
        header(b"77777777777\0", tarfile.GNUTYPE_LONGNAME),
        header(b"77777777777\0"),
        header(b"\x80" + b"\xff" * 11),
        header(b"00000010000\0"),  # more than there is
        b"".join(header(b"00000000000\0", tarfile.GNUTYPE_LONGNAME) for _ in range(3000)),
    ],
    ids=range(8),
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_impossible_header_ends_at_once(wanted, content, pack):
    began = time.monotonic()
    with pytest.raises(FormatError, match=r"cannot be unpacked|unpacks to more|holds no"):
        wanted(pack(content + bytes(1024)))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("pack", [lambda members: gzip.compress(a_tar(members)), a_zip])
@given(data=st.data())
def test_a_damaged_archive_gives_the_member_or_is_refused(tmp_path_factory, pack, data):
    content = bytearray(pack(HONEST))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(4, len(content)))]
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "in").write_bytes(content)
    with suppress(FormatError):
        extract(folder / "in", "net/net.pb", folder / "out")
        assert (folder / "out").read_bytes() == NET


@given(st.text(st.sampled_from("ab./\\:"), max_size=12))
def test_a_name_that_does_not_lead_out_stays_below_its_folder(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp() / "folder"
    if not leads_out(name):
        assert (folder / name).resolve().is_relative_to(folder)
        assert not name.startswith(("/", "\\"))


def test_links_of_a_zip_are_known_by_their_mode():
    info = zipfile.ZipFile(io.BytesIO(a_zip([link("a", "/etc/passwd")]))).infolist()[0]
    assert stat.S_ISLNK(info.external_attr >> 16)
