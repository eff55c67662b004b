"""`bench devices add`, `list`, `check` and `remove`, with a real SSH server."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

from devices import ssh
from harness.cli import main
from tests.support.sshd import Sshd


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own registry; devices keep their files in the test's folder."""
    path = tmp_path / "devices.toml"
    path.touch()
    monkeypatch.setenv("BENCH_DEVICES", str(path))
    monkeypatch.setattr(ssh, "FOLDER", str(tmp_path / "work"))
    return path


def add(server: Sshd, name: str, *options: str) -> int:
    address = f"ssh://{server.user}@127.0.0.1:{server.port}"
    return main(["devices", "add", name, address, "--key", str(server.user_key), *options])


def fingerprint(server: Sshd) -> str:
    argv = ["ssh-keygen", "-lf", str(server.folder / "host_key.pub")]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()[1]


def test_a_device_is_added_checked_and_removed(own: Path, shared_sshd: Sshd, capsys) -> None:
    assert add(shared_sshd, "pi4", "--fingerprint", fingerprint(shared_sshd)) == 0
    said = capsys.readouterr()
    assert fingerprint(shared_sshd) in said.err
    assert said.out.splitlines()[-1].endswith("next: bench devices check pi4")
    entry = tomllib.loads(own.read_text())["pi4"]
    assert (entry["transport"], entry["port"], entry["host_key"]) == (
        "ssh",
        shared_sshd.port,
        shared_sshd.host_key,
    )
    assert main(["devices", "list"]) == 0
    assert any(line.split()[:2] == ["pi4", "ssh"] for line in capsys.readouterr().out.splitlines())
    assert main(["devices", "check", "pi4"]) in (0, 1)
    said = capsys.readouterr().out
    assert all(point in said for point in ("governor", "throttled", "temperature", "load", "clock"))
    assert add(shared_sshd, "pi4", "--yes") == 2
    assert "has a device 'pi4' already" in capsys.readouterr().err
    assert main(["devices", "remove", "pi4"]) == 0
    assert tomllib.loads(own.read_text()) == {}


def test_a_key_is_found_from_every_folder(own: Path, shared_sshd: Sshd, monkeypatch, capsys) -> None:
    address = f"ssh://{shared_sshd.user}@127.0.0.1:{shared_sshd.port}"
    monkeypatch.chdir(shared_sshd.folder)
    assert main(["devices", "add", "pi4", address, "--yes", "--key", shared_sshd.user_key.name]) == 0
    assert tomllib.loads(own.read_text())["pi4"]["key"] == str(shared_sshd.user_key)
    with pytest.raises(SystemExit, match="2"):
        main(["devices", "add", "pi5", address, "--yes", "--key", "nowhere"])
    assert "there is no file 'nowhere'" in capsys.readouterr().err


def test_another_fingerprint_is_not_accepted(own: Path, shared_sshd: Sshd, capsys) -> None:
    assert add(shared_sshd, "pi4", "--fingerprint", "SHA256:" + "A" * 43) == 2
    assert "is not accepted: nothing was sent to it or written" in capsys.readouterr().err
    assert own.read_text() == ""


def test_without_a_terminal_nobody_is_asked(own: Path, shared_sshd: Sshd, capsys) -> None:
    assert add(shared_sshd, "pi4") == 2
    assert "nobody can be asked whether the host key is right" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "a b", "ssh://pi@host"], "may hold only letters"),
        (["add", "pi", "pi@host"], "is not an address of a device"),
        (["add", "pi", "ssh://pi:secret@host"], "is not of the form ssh://user@host:port"),
        (["remove", "qemu"], "is a built-in one"),
        (["remove", "nobody"], "nobody"),
        (["check", "nobody"], "unknown device 'nobody'"),
    ],
)
def test_bad_requests_are_one_line(own: Path, capsys, words: list[str], said: str) -> None:
    assert main(["devices", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert "secret" not in error
