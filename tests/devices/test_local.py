"""The local device; what it shares with the emulated ones is tested on both."""

from __future__ import annotations

import hashlib
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devices import Device, _process, open_device
from harness.errors import DeviceError

HOST_DEVICES = pytest.mark.parametrize("name", ["local", "qemu", "qemu-armv7"])
OpenDevice = Callable[[str], Device]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def noted_pids(device: Device) -> list[int]:
    return [int(line) for line in (device.folder / "pids").read_text().split()]


def all_gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(alive(pid) for pid in pids)


def test_info_detects_this_machine(on_device: OpenDevice) -> None:
    info = on_device("local").info()
    assert info.arch in ("aarch64", "armv7", "x86_64")
    assert info.cpu
    assert not info.emulated
    assert info.facts["kernel"].endswith(os.uname().release)


@HOST_DEVICES
def test_program_gets_its_arguments_and_no_other_environment(
    on_device: OpenDevice, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QB_ISA", "leaked")
    device = on_device(name)
    assert (
        device.run(["probe", "arguments", "a b", "$HOME", ""], 20).stdout
        == b"probe\narguments\na b\n$HOME\n\n"
    )
    assert device.run(["probe", "environment"], 20).stdout == b""
    assert device.run(["probe", "environment"], 20, env={"QB_ISA": "scalar"}).stdout == b"QB_ISA=scalar\n"


@HOST_DEVICES
def test_exit_codes_and_signals_are_told_apart(on_device: OpenDevice, name: str) -> None:
    device = on_device(name)
    failed = device.run(["probe", "exit", "7"], 20)
    assert (failed.exit_code, failed.signal, failed.stderr) == (7, None, b"leaving\n")
    for arguments, signal in (
        (["crash"], "SIGSEGV"),
        (["raise", "6"], "SIGABRT"),
        (["raise", "9"], "SIGKILL"),
    ):
        died = device.run(["probe", *arguments], 20)
        assert (died.exit_code, died.signal) == (None, signal)


@HOST_DEVICES
def test_deadline_kills_the_whole_process_group(on_device: OpenDevice, name: str) -> None:
    device = on_device(name)
    start = time.monotonic()
    with pytest.raises(
        DeviceError, match=rf"device '{name}': .*probe.* was still running after 1 s and was killed"
    ):
        device.run(["probe", "stubborn"], 1)
    assert time.monotonic() - start < 5
    pids = noted_pids(device)
    assert len(pids) == 2
    assert all_gone(pids)


@HOST_DEVICES
def test_child_left_behind_is_killed_and_does_not_delay_the_result(on_device: OpenDevice, name: str) -> None:
    device = on_device(name)
    result = device.run(["probe", "orphan"], 20)
    assert result.stdout == b"parent ends\n"
    assert result.wall_s < 5
    assert all_gone(noted_pids(device) if (device.folder / "pids").exists() else [])


def test_output_flood_is_read_to_its_end_but_capped(
    on_device: OpenDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = on_device("local")
    monkeypatch.setattr(_process, "OUTPUT_CAP", 100_000)
    result = device.run(["probe", "flood", "400"], 20)
    assert (len(result.stdout), len(result.stderr)) == (100_000, 100_000)
    assert result.truncated
    assert result.exit_code == 0
    whole = device.run(["probe", "flood", "1"], 20)
    assert (len(whole.stdout), whole.truncated) == (1 << 16, False)


def test_push_and_pull_copy_whole_files_that_has_recognizes(on_device: OpenDevice, tmp_path: Path) -> None:
    device = on_device("local")
    content = os.urandom(300_000)
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "model").write_bytes(content)
    assert not device.has("models/a.qbm", digest)
    device.push(tmp_path / "model", "models/a.qbm")
    assert device.has("models/a.qbm", digest)
    device.pull("models/a.qbm", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
    (device.folder / "models" / "a.qbm").write_bytes(content[:-1] + b"\0")
    assert not device.has("models/a.qbm", digest)


def test_push_that_fails_halfway_leaves_the_old_file(on_device: OpenDevice, tmp_path: Path) -> None:
    device = on_device("local")
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "new").write_bytes(bytes(1 << 20))
    device.push(tmp_path / "old", "a")
    before = sorted(os.listdir(device.folder))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))  # as a full disk: the write itself fails
    try:
        with pytest.raises(DeviceError, match="device 'local': cannot copy .*new.*: File too large"):
            device.push(tmp_path / "new", "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (device.folder / "a").read_bytes() == b"old"
    assert sorted(os.listdir(device.folder)) == before


def test_errors_of_the_file_system_are_device_errors(on_device: OpenDevice, tmp_path: Path) -> None:
    device = on_device("local")
    with pytest.raises(DeviceError, match="cannot copy .*: No such file"):
        device.push(tmp_path / "missing", "a")
    with pytest.raises(DeviceError, match="cannot copy .*: No such file"):
        device.pull("missing", tmp_path / "a")
    with pytest.raises(DeviceError, match="cannot copy .*"):
        device.push(tmp_path / "..", "a")
    with pytest.raises(DeviceError, match="cannot copy .*"):
        device.push(device.folder / "probe", "probe/below-a-file")
    (device.folder / "folder").mkdir()
    with pytest.raises(DeviceError, match="cannot read .*: Is a directory"):
        device.has("folder", "0" * 64)


@pytest.mark.parametrize("remote", ["../probe", "/bin/ls", "-c", "a/../../b"])
def test_paths_out_of_the_work_folder_are_refused(on_device: OpenDevice, tmp_path: Path, remote: str) -> None:
    device = on_device("local")
    for attempt in (
        lambda: device.push(device.folder / "probe", remote),
        lambda: device.pull(remote, tmp_path / "x"),
        lambda: device.has(remote, "0" * 64),
        lambda: device.run([remote], 5),
    ):
        with pytest.raises(DeviceError, match="is not a file name inside"):
            attempt()


def test_link_out_of_the_work_folder_is_refused(on_device: OpenDevice, tmp_path: Path) -> None:
    device = on_device("local")
    (device.folder / "out").symlink_to("/bin")
    with pytest.raises(DeviceError, match="leads out of the work folder"):
        device.run(["out/ls"], 5)


def test_what_cannot_be_started_is_a_device_error(on_device: OpenDevice, tmp_path: Path) -> None:
    device = on_device("local")
    with pytest.raises(DeviceError, match="'absent' was never pushed"):
        device.run(["absent"], 5)
    (tmp_path / "text").write_text("no program")
    device.push(tmp_path / "text", "text")
    with pytest.raises(DeviceError, match="cannot start 'text': Permission denied"):
        device.run(["text"], 5)
    (device.folder / "text").chmod(0o755)
    with pytest.raises(DeviceError, match="cannot start 'text': Exec format error"):
        device.run(["text"], 5)
    with pytest.raises(DeviceError, match="cannot start 'probe': embedded null byte"):
        device.run(["probe", "a\0b"], 5)


def test_instructions_are_not_counted(on_device: OpenDevice) -> None:
    assert on_device("local").count_instructions(["probe", "work", "1"], 5) is None


def test_files_are_listed_by_their_last_use_and_removed(fresh_cache: Path, tmp_path: Path) -> None:
    device = open_device("local")
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
        device.push(tmp_path / name, name)
        os.utime(device.folder / name, (1, 1))
    assert device.has("b", hashlib.sha256(b"b").hexdigest())
    used = {file.name: (file.size, file.used_s) for file in device.files()}
    assert used["a"] == (1, 1)
    assert used["b"][1] > 1
    device.remove(["a", "missing"])
    assert not {file.name for file in device.files()} & {"a", "missing"}
    assert device.free_bytes() > 0
