"""SSH against a real sshd behind a proxy that breaks the connection, with the faults that it can have."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devices import Entry, _remote, ssh
from devices._remote import RemoteDevice
from harness.compiler import host_arch
from harness.deploy import deploy
from harness.errors import ConnectionLost, DeadlineError, DeviceError, UsageError
from tests.support.proxy import Proxy
from tests.support.sshd import Sshd, new_key, running_sshd

Open = Callable[..., RemoteDevice]
SIZE = 300_000


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A server of the test's own, to be stopped and changed."""
    (tmp_path / "sshd").mkdir()
    with running_sshd(tmp_path / "sshd") as server:
        yield server


@pytest.fixture
def proxy(shared_sshd: Sshd) -> Iterator[Proxy]:
    with Proxy(shared_sshd.port) as running:
        yield running


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting is in seconds, not minutes."""
    monkeypatch.setattr(ssh, "KEEPALIVE_S", 0.2)
    monkeypatch.setattr(ssh, "DEAD_S", 1.5)
    monkeypatch.setattr(_remote, "PAUSE_S", 0.05)
    monkeypatch.setattr(_remote, "RETURN_S", 20.0)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """opened(server, port=…, …): the device of an entry; its work folder is tmp_path/work."""
    devices = []

    def open_one(server: Sshd, **settings: object) -> RemoteDevice:
        device = ssh.open(entry(server, tmp_path / "work", **settings))
        devices.append(device)
        return device

    yield open_one
    for device in devices:
        device.close()


def entry(server: Sshd, folder: Path, without: tuple[str, ...] = (), **settings: object) -> Entry:
    usual = {"host": "127.0.0.1", "port": server.port, "user": server.user, "key": str(server.user_key)}
    usual |= {"host_key": server.host_key, "folder": str(folder)}
    kept = {key: value for key, value in (usual | settings).items() if key not in without}
    return Entry("pi", kept, Path("devices.toml"))


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    path = tmp_path / "payload"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture
def with_probe(opened: Open, shared_sshd: Sshd, proxy: Proxy, probe: Callable[[str], Path]) -> RemoteDevice:
    """The device behind the proxy, with the probe."""
    device = opened(shared_sshd, port=proxy.port)
    device.push(probe(host_arch()), "probe")
    return device


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def gone(folder: Path) -> bool:
    """Whether the programs that wrote their ids to `pids` end soon."""
    pids = [int(word) for word in (folder / "pids").read_text().split()]
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.05)
    return False


def during_run(folder: Path, act: Callable[[], None]) -> threading.Thread:
    """Calls `act` when the stubborn probe has begun."""

    def wait() -> None:
        while not (folder / "pids").exists() or (folder / "pids").read_text().count("\n") < 2:
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_programs_and_files(with_probe: RemoteDevice, payload: Path, tmp_path: Path) -> None:
    info = with_probe.info()
    assert (info.name, info.transport, info.arch, info.emulated) == ("pi", "ssh", host_arch(), False)
    with_probe.push(payload, "models/a.qbm")
    assert with_probe.has("models/a.qbm", digest(payload))
    with_probe.pull("models/a.qbm", tmp_path / "back")
    assert digest(tmp_path / "back") == digest(payload)
    words = ["a b", "$(touch pwn)", "x\ny", "-rf", "'\"\\", "é"]
    said = with_probe.run(["probe", "arguments", *words], 20)
    assert said.stdout.decode() == "\n".join(["./probe", "arguments", *words, ""])
    assert with_probe.run(["probe", "exit", "7"], 20).exit_code == 7
    assert with_probe.run(["probe", "crash"], 20).signal == "SIGSEGV"
    assert list(tmp_path.rglob("pwn")) == []


def test_both_streams_are_drained_past_the_window(with_probe: RemoteDevice) -> None:
    said = with_probe.run(["probe", "flood", "40"], 60)  # 2.6 MB on each, interleaved; the window is 2 MB
    assert (len(said.stdout), len(said.stderr), said.exit_code) == (40 << 16, 40 << 16, 0)


def test_device_is_not_sent_the_same_twice(with_probe: RemoteDevice, payload: Path, proxy: Proxy) -> None:
    runner = Path(os.path.realpath("/proc/self/exe"))
    first = deploy(with_probe, runner, [payload])
    before = proxy.sent
    second = deploy(with_probe, runner, [payload])
    assert (first.sent_bytes, second.sent_bytes) == (runner.stat().st_size + SIZE, 0)
    assert proxy.sent - before < 20_000  # questions


@pytest.mark.parametrize(
    "shares",
    [(0.01, 0.8, 0.99), pytest.param([i / 40 for i in range(41)], marks=pytest.mark.slow)],
    ids=["few", "many"],
)
def test_push_cut_anywhere_is_whole_or_absent(
    opened: Open, shared_sshd: Sshd, proxy: Proxy, payload: Path, tmp_path: Path, shares: list[float]
) -> None:
    device = opened(shared_sshd, port=proxy.port)
    begin = proxy.sent
    device.push(payload, "measured")
    whole = proxy.sent - begin
    for number, share in enumerate(shares):
        proxy.cut_at = proxy.sent + max(1, int(share * whole))
        device.push(payload, f"cut{number}")
        assert (tmp_path / "work" / f"cut{number}").read_bytes() == payload.read_bytes()
    assert proxy.cuts >= len(shares) - 1
    assert list((tmp_path / "work").glob("*.part")) == []


def test_push_over_a_line_that_always_breaks_gives_up_and_leaves_the_old_file(
    opened: Open, shared_sshd: Sshd, proxy: Proxy, payload: Path, tmp_path: Path
) -> None:
    device = opened(shared_sshd, port=proxy.port)
    (tmp_path / "work" / "a").write_bytes(b"old")
    breaking = threading.Event()

    def cut_again_and_again() -> None:
        while not breaking.is_set():
            if proxy.cut_at is None:
                proxy.cut_at = proxy.sent + 100_000
            time.sleep(0.001)

    thread = threading.Thread(target=cut_again_and_again, daemon=True)
    thread.start()
    with pytest.raises(ConnectionLost, match=r"device 'pi': .*\(tried 3 times\)"):
        device.push(payload, "a")
    breaking.set()
    thread.join()
    proxy.cut_at = None
    assert (tmp_path / "work" / "a").read_bytes() == b"old"
    device.push(payload, "a")
    assert device.has("a", digest(payload))


def test_connection_cut_in_a_run(with_probe: RemoteDevice, proxy: Proxy, tmp_path: Path) -> None:
    thread = during_run(tmp_path / "work", proxy.cut)
    with pytest.raises(
        ConnectionLost, match="device 'pi': .*while it ran 'probe stubborn'; the program was killed"
    ):
        with_probe.run(["probe", "stubborn"], 60)
    thread.join()
    assert gone(tmp_path / "work")
    assert with_probe.run(["probe", "exit", "3"], 20).exit_code == 3


def test_half_open_connection_is_given_up(
    with_probe: RemoteDevice, shared_sshd: Sshd, tmp_path: Path
) -> None:
    stopped = []

    def stop_the_servers_of_sessions() -> None:
        for pid in shared_sshd.sessions():
            if b"sshd" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)

    thread = during_run(tmp_path / "work", stop_the_servers_of_sessions)
    start = time.monotonic()
    with pytest.raises(ConnectionLost, match="the program was killed"):
        with_probe.run(["probe", "stubborn"], 60)
    assert time.monotonic() - start < 15
    thread.join()
    assert gone(tmp_path / "work")
    for pid in stopped:
        os.kill(pid, signal.SIGKILL)


def test_stalled_line_is_given_up(with_probe: RemoteDevice, proxy: Proxy, payload: Path) -> None:
    proxy.stalled.set()
    timer = threading.Timer(2.5, proxy.stalled.clear)
    timer.start()
    with_probe.push(payload, "a")  # the second attempt comes through
    timer.join()
    assert with_probe.has("a", digest(payload))


def test_slow_line_is_waited_for(with_probe: RemoteDevice, proxy: Proxy, payload: Path) -> None:
    proxy.bytes_per_s = 200_000
    start = time.monotonic()
    with_probe.push(payload, "a")
    assert time.monotonic() - start > 1
    assert with_probe.has("a", digest(payload))


def test_hang_and_ignored_signals_end_at_the_deadline(with_probe: RemoteDevice, tmp_path: Path) -> None:
    with pytest.raises(DeadlineError, match="'probe stubborn' was still running after 1 s and was killed"):
        with_probe.run(["probe", "stubborn"], 1)
    assert gone(tmp_path / "work")


def test_silence_and_dripping_have_deadlines(with_probe: RemoteDevice, tmp_path: Path) -> None:
    with pytest.raises(DeadlineError, match="'probe stubborn' said nothing for 1 s and was killed"):
        with_probe.run(["probe", "stubborn"], 60, idle_timeout=1)
    assert gone(tmp_path / "work")
    with pytest.raises(DeadlineError, match="'probe drip' was still running after 2 s and was killed"):
        with_probe.run(["probe", "drip"], 2, idle_timeout=1.5)


def test_corrupt_push_is_repeated_and_never_run(
    with_probe: RemoteDevice, payload: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = ssh.SshTransport.upload

    def flip_a_byte(transport: ssh.SshTransport, local: Path, remote: str) -> None:
        upload(transport, local, remote)
        content = bytearray(Path(remote).read_bytes())
        content[1000] ^= 1
        Path(remote).write_bytes(content)

    monkeypatch.setattr(ssh.SshTransport, "upload", flip_a_byte)
    with pytest.raises(DeviceError, match=r"SHA-256 differs.*\(tried 3 times\)"):
        with_probe.push(payload, "runner")
    assert not (tmp_path / "work" / "runner").exists()
    with pytest.raises(DeviceError, match="cannot start 'runner': No such file"):
        with_probe.run(["runner"], 10)


def test_wrong_architecture_is_refused_before_the_push(
    with_probe: RemoteDevice, probe: Callable[[str], Path], proxy: Proxy
) -> None:
    other = "armv7" if host_arch() != "armv7" else "x86_64"
    before = proxy.sent
    with pytest.raises(DeviceError, match=f"is compiled for {other}, but device 'pi' is {host_arch()}"):
        deploy(with_probe, probe(other))
    assert proxy.sent - before < 10_000


def test_host_key_that_is_not_pinned_is_a_hard_failure(opened: Open, sshd: Sshd) -> None:
    with pytest.raises(DeviceError, match="the host key of .* is not known: `bench devices add NAME ssh://"):
        opened(sshd, without=("host_key",))
    assert "publickey" not in sshd.log.read_text()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_host_key_that_changed_is_refused_before_any_credential(opened: Open, sshd: Sshd, kind: str) -> None:
    pinned = sshd.host_key
    device = opened(sshd)
    sshd.stop()
    sshd.new_host_key(kind)
    sshd.start()
    sshd.log.write_text("")
    with pytest.raises(DeviceError, match="device 'pi': .* has another host key"):
        opened(sshd, host_key=pinned)
    log = sshd.log.read_text()
    for word in ("publickey", "authenticating user", "Failed", "Accepted"):  # that name a user
        assert word not in log
    device.close()


def test_user_who_is_not_let_in_is_told_what_to_do(opened: Open, shared_sshd: Sshd, tmp_path: Path) -> None:
    stranger = new_key(tmp_path / "stranger")
    with pytest.raises(DeviceError, match="takes none of your keys: run `ssh-copy-id"):
        opened(shared_sshd, key=str(stranger))


def test_nobody_there(opened: Open, shared_sshd: Sshd, proxy: Proxy) -> None:
    with pytest.raises(ConnectionLost, match="device 'pi': cannot connect to .*127.0.0.1:1: .*refused"):
        opened(shared_sshd, port=1)
    with pytest.raises(DeviceError, match="no host is called 'no-such-host.invalid'"):
        opened(shared_sshd, host="no-such-host.invalid")


def test_server_that_says_nothing_is_given_up(
    opened: Open, shared_sshd: Sshd, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "CONNECT_S", 1.0)
    proxy.stalled.set()
    with pytest.raises(ConnectionLost, match="device 'pi': cannot connect to"):
        opened(shared_sshd, port=proxy.port)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"port": "22"}, "'port' must be a whole number above 0, not '22'"),
        ({"host": ""}, "'host' must be a text"),
        ({"hots": "x"}, "unknown setting 'hots'"),
        ({"host_key": "AAAA"}, "'AAAA' is not a public key such as"),
        ({"jump": "nobody"}, "'jump' must be another device with transport \"ssh\", not 'nobody'"),
    ],
)
def test_bad_entry_names_its_fault(opened: Open, shared_sshd: Sshd, settings: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        opened(shared_sshd, **settings)


def test_device_behind_a_jump_host(
    opened: Open, shared_sshd: Sshd, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = entry(shared_sshd, tmp_path, port=proxy.port).settings
    lines = [f"{key} = {json.dumps(value)}" for key, value in ({"transport": "ssh"} | gate).items()]
    (tmp_path / "devices.toml").write_text("[gate]\n" + "\n".join(lines) + "\n")
    monkeypatch.setenv("BENCH_DEVICES", str(tmp_path / "devices.toml"))
    before = proxy.sent
    device = opened(shared_sshd, jump="gate")
    assert device.info().arch == host_arch()
    assert proxy.sent > before  # all of it went through the gate
    proxy.cut()
    with pytest.raises(ConnectionLost, match="the connection to .* was lost|cannot connect to"):
        device.shell("echo")
    assert device.shell("echo back").stdout == b"back\n"
