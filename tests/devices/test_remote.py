"""What every remote device does, on the shells of Debian, busybox and Android, with no network in between."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from pathlib import Path

import pytest

from devices import _remote, _shell
from devices._remote import RemoteDevice
from devices._transport import Stream
from harness.compiler import host_arch
from harness.errors import ConnectionLost, DeadlineError, DeviceError
from tests.support.shell_transport import Remote, ShellTransport


@pytest.fixture
def simple(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    monkeypatch.setattr(_remote, "PAUSE_S", 0.01)
    transport = ShellTransport(tmp_path)
    return RemoteDevice("board", "shell", transport, "work"), transport


def running(folder: Path) -> list[str]:
    """Ids of the processes that remote.sh started in a device's folder and that are still there."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if str((path / "cwd").readlink()).startswith(str(folder)) and (path / "cmdline").read_bytes():
                found.append(path.name)
        except OSError:
            continue
    return found


def gone(folder: Path) -> bool:
    deadline = time.monotonic() + 5
    while running(folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not running(folder)


def start(remote: Remote, wall_s: int, lost_s: int, *argv: str) -> subprocess.Popen[bytes]:
    """`remote.sh run` as a controller starts it, that then does nothing more."""
    device, transport = remote
    words = ["sh", device._script, "run", "token", str(wall_s), str(lost_s), *argv]
    process = transport.start(_shell.line(*words))
    pids = transport.folder / device.folder / "pids"
    while not pids.exists() or pids.read_text().count("\n") < 2:
        time.sleep(0.01)
    return process


def test_arguments_and_environment_arrive_as_they_are(remote: Remote) -> None:
    device, transport = remote
    words = ["a b", "$HOME", "", "$(touch pwn)", "`touch pwn`", "x\ny", "-rf", "'\"\\", "é\t*", ";&|"]
    said = device.run(["probe", "arguments", *words], 20, env={"A": "b $c'd"})
    assert (said.exit_code, said.signal) == (0, None)
    assert said.stdout.decode() == "\n".join(["./probe", "arguments", *words, ""])
    assert list(transport.folder.rglob("pwn")) == []
    listed = device.run(["probe", "environment"], 20, env={"QB_ISA": "scalar", "A": "b $c'd"}).stdout.decode()
    token, *others = listed.splitlines()
    assert token.startswith(f"QB_RUN={device.session}-")
    assert others == ["QB_ISA=scalar", "A=b $c'd"]


def test_exit_codes_and_signals_are_told_apart(remote: Remote) -> None:
    device, _ = remote
    failed = device.run(["probe", "exit", "7"], 20)
    assert (failed.exit_code, failed.signal, failed.stdout, failed.stderr) == (7, None, b"", b"leaving\n")
    for arguments, signal in (
        (["crash"], "SIGSEGV"),
        (["raise", "4"], "SIGILL"),
        (["raise", "9"], "SIGKILL"),
    ):
        died = device.run(["probe", *arguments], 20)
        assert (died.exit_code, died.signal, died.stderr) == (None, signal, b"")


def test_what_cannot_be_started_is_a_device_error(remote: Remote, tmp_path: Path) -> None:
    device, _ = remote
    with pytest.raises(DeviceError, match="device 'board': cannot start 'absent': No such file"):
        device.run(["absent"], 20)
    (tmp_path / "text").write_bytes(b"\x7fELF no program")
    device.push(tmp_path / "text", "text")
    with pytest.raises(DeviceError, match="cannot start 'text': Permission denied"):
        device.run(["text"], 20)
    with pytest.raises(DeviceError, match="embedded null byte"):
        device.run(["probe", "a\0b"], 20)


def test_deadline_kills_the_whole_process_group(remote: Remote) -> None:
    device, transport = remote
    start = time.monotonic()
    with pytest.raises(DeadlineError, match=r"'probe stubborn' was still running after 1 s and was killed"):
        device.run(["probe", "stubborn"], 1)
    assert time.monotonic() - start < 6
    assert gone(transport.folder)


def test_child_left_behind_is_killed_and_does_not_delay_the_result(remote: Remote) -> None:
    device, transport = remote
    result = device.run(["probe", "orphan"], 20)
    assert (result.stdout, result.exit_code) == (b"parent ends\n", 0)
    assert result.wall_s < 6
    assert gone(transport.folder)


def test_program_ends_when_its_controller_is_gone(remote: Remote) -> None:
    _, transport = remote
    process = start(remote, 60, 60, "./probe", "stubborn")
    process.stdin.close()
    assert gone(transport.folder)
    process.kill()
    process.wait()


def test_program_ends_when_its_controller_gives_no_sign_of_life(remote: Remote) -> None:
    _, transport = remote
    process = start(remote, 60, 2, "./probe", "stubborn")
    for _ in range(4):
        process.stdin.write(b"\n")
        process.stdin.flush()
        time.sleep(0.5)
    assert running(transport.folder)
    assert gone(transport.folder)
    process.kill()
    process.wait()


def test_reap_ends_what_has_the_token_and_nothing_else(remote: Remote) -> None:
    device, transport = remote
    process = start(remote, 60, 60, "./probe", "stubborn")
    device.reap("other")
    assert running(transport.folder)
    device.reap("tok")
    assert gone(transport.folder)
    assert process.wait() == 0
    device.reap("tok")


def test_output_flood_is_read_to_its_end_but_capped(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    device, _ = remote
    monkeypatch.setattr(Stream.__init__, "__defaults__", (100_000,))
    result = device.run(["probe", "flood", "400"], 20)
    assert (len(result.stdout), len(result.stderr)) == (100_000, 100_000)
    assert result.truncated
    assert result.exit_code == 0
    whole = device.run(["probe", "flood", "1"], 20)
    assert (len(whole.stdout), whole.truncated) == (1 << 16, False)


def test_files_are_moved_whole_and_recognized(remote: Remote, tmp_path: Path) -> None:
    device, transport = remote
    content = os.urandom(300_000)
    (tmp_path / "model").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    before = device.sent_bytes
    assert not device.has("models/a.qbm", digest)
    device.push(tmp_path / "model", "models/a.qbm")
    assert device.has("models/a.qbm", digest)
    assert not device.has("models/a.qbm", "0" * 64)
    assert device.sent_bytes - before == 300_000
    device.pull("models/a.qbm", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
    assert list(transport.folder.rglob("*.part")) == []
    with pytest.raises(DeviceError, match="cannot copy .*: No such file"):
        device.push(tmp_path / "missing", "a")
    with pytest.raises(DeviceError, match="cannot copy .*: No such file on the device"):
        device.pull("missing", tmp_path / "b")


def test_facts_describe_this_machine(remote: Remote) -> None:
    device, _ = remote
    info = device.info()
    assert (info.name, info.transport, info.arch, info.emulated) == ("board", "shell", host_arch(), False)
    assert info.facts["kernel"].endswith(os.uname().release)
    assert info.facts["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert int(info.facts["disk_free_mb"]) > 0
    assert int(info.facts["memory_mb"]) > 0
    assert len(info.cores) == os.cpu_count()
    assert device.free_bytes() > 0


def test_damaged_push_is_repeated_and_never_gets_its_name(simple: Remote, tmp_path: Path) -> None:
    device, transport = simple
    (tmp_path / "file").write_bytes(b"content")
    damaged = [b"c0ntent", b"conten"]
    transport.upload_fault = lambda content: damaged.pop() if damaged else content
    device.push(tmp_path / "file", "a")
    assert (tmp_path / "work" / "a").read_bytes() == b"content"
    assert damaged == []
    transport.upload_fault = lambda content: b"always wrong"
    with pytest.raises(DeviceError, match=r"device 'board': .*SHA-256 differs.*\(tried 3 times\)"):
        device.push(tmp_path / "file", "b")
    assert not (tmp_path / "work" / "b").exists()
    assert list(tmp_path.rglob("*.part")) == []


def test_script_that_was_changed_on_the_device_is_sent_again(simple: Remote) -> None:
    device, transport = simple
    script = transport.folder / device._script
    script.write_text("echo not the script")
    again = RemoteDevice("board", "shell", transport, "work")
    assert script.read_bytes() == _shell.SCRIPT.read_bytes()
    assert again.info().facts["kernel"]


def test_answer_that_is_cut_off_is_a_lost_connection(simple: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    device, transport = simple
    execute = transport.execute

    def cut(command: str, *limits: float) -> tuple[Stream, Stream]:
        whole, errors = execute(command, *limits)
        stdout = Stream()
        stdout.add(whole.content()[:-1])
        return stdout, errors

    monkeypatch.setattr(transport, "execute", cut)
    with pytest.raises(ConnectionLost, match="device 'board': the answer to 'echo hello' is cut off"):
        device.shell("echo hello")


def test_boot_id_tells_a_reboot_from_a_lost_connection(
    simple: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, transport = simple
    execute = transport.execute

    def lose_runs(command: str, *limits: float) -> tuple[Stream, Stream]:
        if " run " in command:
            raise ConnectionLost("the line is dead")
        return execute(command, *limits)

    monkeypatch.setattr(transport, "execute", lose_runs)
    with pytest.raises(ConnectionLost, match="the line is dead while it ran 'x'; the program was killed"):
        device.run(["x"], 5)
    device._boot_id = "another"
    with pytest.raises(DeviceError, match="the device rebooted while it ran 'x'"):
        device.run(["x"], 5)
    monkeypatch.setattr(_remote, "RETURN_S", 0.1)
    monkeypatch.setattr(transport, "connect", lambda: (_ for _ in ()).throw(ConnectionLost("still dead")))
    with pytest.raises(ConnectionLost, match="and it did not come back"):
        device.run(["x"], 5)


def test_files_are_listed_by_their_last_use_and_removed(remote: Remote, tmp_path: Path) -> None:
    device, transport = remote
    digests = {}
    for name in ("a.qbm", "b.qbd", "c"):
        (tmp_path / name).write_bytes(name.encode() * 100)
        device.push(tmp_path / name, name)
        digests[name] = hashlib.sha256(name.encode() * 100).hexdigest()
        os.utime(transport.folder / "work folder" / name, (1, 1))
    assert device.has("b.qbd", digests["b.qbd"])
    found = {file.name: file for file in device.files()}
    assert found["a.qbm"].size == 500
    assert found["a.qbm"].used_s == found["c"].used_s == 1
    assert found["b.qbd"].used_s > time.time() - 100
    device.remove(["a.qbm", "missing"])
    assert "a.qbm" not in {file.name for file in device.files()}
    assert device.free_bytes() > 0
