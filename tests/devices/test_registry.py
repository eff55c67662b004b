"""The registry: built-in entries, the user's own file over them, and what is said about a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import devices
from devices import checked_remote, names, open_device, registry
from harness.errors import DeviceError, UsageError


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own registry file, to be written by the test."""
    path = tmp_path / "devices.toml"
    monkeypatch.setenv("BENCH_DEVICES", str(path))
    return path


def test_built_in_devices_are_listed(own: Path) -> None:
    own.write_text("")
    assert names() == ["local", "qemu", "qemu-a76", "qemu-armv7", "virtual-pi4", "virtual-pi5"]


def test_own_entry_is_added_and_replaces_a_built_in_one(own: Path) -> None:
    own.write_text('[bench1]\ntransport = "local"\n[qemu]\ntransport = "qemu"\narch = "armv7"\ncpu = "max"\n')
    assert "bench1" in names()
    assert registry()["qemu"].settings["arch"] == "armv7"
    assert registry()["qemu"].file == own
    assert registry()["local"].file == devices.FOLDER / "devices.toml"


def test_own_local_device_opens(own: Path, fresh_cache: Path) -> None:
    own.write_text('[bench1]\ntransport = "local"\n')
    info = open_device("bench1").info()
    assert (info.name, info.transport, info.emulated) == ("bench1", "local", False)
    assert (fresh_cache / "devices" / "bench1").is_dir()


def test_unknown_device_suggests_the_nearest(own: Path) -> None:
    own.write_text("")
    with pytest.raises(UsageError, match=r"unknown device 'qemu-a75': did you mean qemu-a76 or"):
        open_device("qemu-a75")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[pi\n", "not a valid TOML file: .* line 1"),
        ('pi = "local"\n', r"'pi' must be a table: write \[pi\]"),
        ("[pi]\n", "device 'pi': 'transport' is missing"),
        ("[pi]\ntransport = 3\n", "device 'pi': 'transport' must be a text, not 3"),
        ('[pi]\ntransport = "quemu"\n', "device 'pi': unknown transport 'quemu': did you mean qemu"),
        ('[pi]\ntransport = "_host"\n', "device 'pi': unknown transport '_host'"),
        ('[pi]\ntransport = "../x"\n', r"device 'pi': unknown transport '\.\./x'"),
        ('[pi]\ntransport = "local"\nhots = "x"\n', "device 'pi': unknown setting 'hots'"),
        ('[pi]\ntransport = "qemu"\ncpu = "max"\n', "device 'pi': 'arch' is missing"),
        ('[pi]\ntransport = "qemu"\narch = "aarch64"\n', "device 'pi': 'cpu' is missing"),
        (
            '[pi]\ntransport = "qemu"\narch = "mips"\ncpu = "max"\n',
            "device 'pi': 'arch' must be aarch64 or armv7",
        ),
        ('["../pi"]\ntransport = "local"\n', r"device name '\.\./pi' may hold only letters"),
    ],
)
def test_bad_entry_names_file_and_fault(own: Path, text: str, said: str) -> None:
    own.write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        open_device("pi")
    assert str(caught.value).startswith(f"{own}: ")
    assert "\n" not in str(caught.value)


def test_missing_file_that_was_asked_for_is_an_error(own: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the device registry: No such file"):
        names()


@pytest.mark.parametrize("remote", ["a", "models/0a1b.qbm", "x-1_2.part", "a..b"])
def test_plain_remote_names_pass(remote: str) -> None:
    assert checked_remote(remote) == remote


@pytest.mark.parametrize(
    "remote",
    ["", ".", "..", "../a", "a/../b", "/etc/passwd", "a//b", "a/", "-rf", "a b", "a;b", "$x", "a\0b", "a\n"],
)
def test_hostile_remote_names_are_refused(remote: str) -> None:
    with pytest.raises(DeviceError, match="not a file name inside"):
        checked_remote(remote)


@given(st.text(alphabet="ab./-~\\ \0é", max_size=12))
def test_accepted_remote_name_never_leaves_the_folder(remote: str) -> None:
    try:
        checked_remote(remote)
    except DeviceError:
        return
    folder = Path("/work-folder")
    assert (folder / remote).resolve().is_relative_to(folder)
    assert (folder / remote) != folder
