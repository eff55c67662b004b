"""The adb driver with the real adb client and a device that speaks its protocol on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devices import Entry, _remote, adb
from devices._remote import RemoteDevice
from harness.cli import main
from harness.errors import ConnectionLost, DeadlineError, DeviceError
from tests.support.adb_device import AdbDevice
from tests.support.sshd import free_port

FOLDER = "/data/local/tmp/quantbench"


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AdbDevice]:
    monkeypatch.setattr(_remote, "PAUSE_S", 0.05)
    monkeypatch.setattr(adb, "READY_S", 1.0)
    phone = AdbDevice(tmp_path / "phone")
    yield phone
    phone.close()


Opened = Callable[..., RemoteDevice]


@pytest.fixture
def opened(phone: AdbDevice, adb_server: int) -> Opened:
    def open_it(**settings: object) -> RemoteDevice:
        entry = {"transport": "adb", "serial": phone.serial, "server_port": adb_server} | settings
        return adb.open(Entry("pixel", entry, Path("devices.toml")))

    return open_it


@pytest.fixture
def device(opened: Opened, probe: Callable[[str], Path]) -> RemoteDevice:
    if not shutil.which("qemu-aarch64"):
        pytest.skip("needs qemu-aarch64: apt-get install qemu-user")
    device = opened()
    device.push(probe("aarch64"), "probe")
    return device


def test_says_what_it_is(device: RemoteDevice, phone: AdbDevice) -> None:
    info = device.info()
    assert (info.transport, info.arch, info.emulated) == ("adb", "aarch64", False)
    assert info.facts["android"] == "12"
    assert info.facts["soc"] == "SM8350"
    assert (phone.folder / "input").read_text().split() == ["keyevent", "KEYCODE_WAKEUP"]


def test_arguments_arrive_as_they_are(device: RemoteDevice, phone: AdbDevice) -> None:
    words = ["a b", "$HOME", "", "$(touch pwn)", "`touch pwn`", "x\ny", "-rf", "'\"\\", "é\t*", ";&|"]
    said = device.run(["probe", "arguments", *words], 20)
    assert said.stdout.decode() == "\n".join(["./probe", "arguments", *words, ""])
    assert list(phone.folder.rglob("pwn")) == []


def test_exit_codes_signals_and_both_streams(device: RemoteDevice) -> None:
    left = device.run(["probe", "exit", "7"], 20)
    assert (left.exit_code, left.stdout, left.stderr) == (7, b"", b"leaving\n")
    assert device.run(["probe", "crash"], 20).signal == "SIGSEGV"


def test_files_are_moved_whole(device: RemoteDevice, phone: AdbDevice, tmp_path: Path) -> None:
    content = os.urandom(300_000)
    (tmp_path / "in").write_bytes(content)
    device.push(tmp_path / "in", "data.bin")
    device.pull("data.bin", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == content
    assert [path.name for path in (phone.tmp / "quantbench").glob("*.part")] == []
    with pytest.raises(DeviceError, match="No such file on the device"):
        device.pull("missing", tmp_path / "out")


def test_damaged_push_never_gets_its_name(opened: Opened, phone: AdbDevice, tmp_path: Path) -> None:
    device = opened()
    phone.behaviour.upload_fault = lambda block: bytes([block[0] ^ 1]) + block[1:]
    (tmp_path / "in").write_bytes(b"content")
    with pytest.raises(DeviceError, match=r"did not arrive as it was sent \(SHA-256 differs\)"):
        device.push(tmp_path / "in", "data.bin")
    assert not [path for path in (phone.tmp / "quantbench").iterdir() if "data.bin" in path.name]


def test_full_disk_is_named_and_leaves_nothing(opened: Opened, phone: AdbDevice, tmp_path: Path) -> None:
    device = opened()
    phone.behaviour.full = True
    (tmp_path / "in").write_bytes(b"content")
    with pytest.raises(DeviceError, match="No space left on device"):
        device.push(tmp_path / "in", "data.bin")
    assert not [path for path in (phone.tmp / "quantbench").iterdir() if "data.bin" in path.name]


@pytest.mark.parametrize("cut_after", [1, 8_000, 70_000, 299_000])
def test_connection_that_drops_in_a_push(
    opened: Opened, phone: AdbDevice, tmp_path: Path, cut_after: int
) -> None:
    device = opened()
    content = os.urandom(300_000)
    (tmp_path / "in").write_bytes(content)
    phone.behaviour.cut_after = cut_after
    device.push(tmp_path / "in", "data.bin")  # what was cut off is tried again
    assert (phone.tmp / "quantbench/data.bin").read_bytes() == content
    assert phone.behaviour.cut_after is None


def later(seconds: float, act: Callable[[], object]) -> None:
    threading.Timer(seconds, act).start()


def test_connection_that_drops_in_a_run(device: RemoteDevice, phone: AdbDevice) -> None:
    later(1.0, phone.drop)
    with pytest.raises(ConnectionLost, match="the program was killed"):
        device.run(["probe", "stubborn"], 60)
    assert device.run(["probe", "exit", "0"], 20).exit_code == 0


def test_reboot_in_a_run(device: RemoteDevice, phone: AdbDevice) -> None:
    later(0.8, phone.reboot)
    later(1.0, phone.drop)
    with pytest.raises(
        DeviceError, match="device 'pixel': the device rebooted while it ran 'probe stubborn'"
    ):
        device.run(["probe", "stubborn"], 60)


def test_server_that_is_killed_in_a_run(device: RemoteDevice, adb_server: int) -> None:
    later(1.0, lambda: subprocess.run(["adb", "-P", str(adb_server), "kill-server"], check=True))
    with pytest.raises(ConnectionLost, match="the program was killed"):
        device.run(["probe", "stubborn"], 60)
    assert device.run(["probe", "exit", "0"], 20).exit_code == 0


def test_deadline_kills_what_ran(device: RemoteDevice, phone: AdbDevice) -> None:
    with pytest.raises(DeadlineError, match="'probe stubborn' was still running after 1 s and was killed"):
        device.run(["probe", "stubborn"], 1)
    pids = (phone.tmp / "quantbench/pids").read_text().split()
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_unauthorized(opened: Opened, phone: AdbDevice) -> None:
    phone.behaviour.authorized = False
    with pytest.raises(DeviceError, match="device 'pixel': it does not trust this computer: unlock it"):
        opened()


def test_offline(opened: Opened, phone: AdbDevice) -> None:
    phone.behaviour.answers = False
    with pytest.raises(DeviceError, match="device 'pixel': .*offline"):
        opened()


def test_absent(opened: Opened) -> None:
    with pytest.raises(DeviceError, match="device 'pixel': no device '8A1X0ABCD': plug it in"):
        opened(serial="8A1X0ABCD")


def test_of_two_devices_the_one_that_is_meant(opened: Opened, phone: AdbDevice, tmp_path: Path) -> None:
    other = AdbDevice(tmp_path / "other")
    try:
        second = opened(serial=other.serial)
        opened()
        (tmp_path / "in").write_bytes(b"x")
        second.push(tmp_path / "in", "only-here")
    finally:
        other.close()
    assert (other.tmp / "quantbench/only-here").exists()
    assert not (phone.tmp / "quantbench/only-here").exists()


def test_without_shell_protocol_2(opened: Opened, phone: AdbDevice, probe: Callable[[str], Path]) -> None:
    phone.behaviour.features = ("cmd",)
    device = opened()
    device.push(probe("aarch64"), "probe")
    left = device.run(["probe", "exit", "7"], 20)
    assert (left.exit_code, left.stdout) == (7, b"leaving\n")  # its two streams are one
    with pytest.raises(DeadlineError, match="was still running after 1 s"):
        device.run(["probe", "stubborn"], 1)


def test_without_adb(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeviceError, match="device 'pixel': there is no adb: install it"):
        opened()


def test_a_server_that_holds_the_device_is_named(
    opened: Opened, adb_server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adb, "USERS_SERVER_PORT", free_port())
    subprocess.run(["adb", "-P", str(adb.USERS_SERVER_PORT), "start-server"], check=True, capture_output=True)
    try:
        with pytest.raises(DeviceError, match=r"the adb server on port \d+ may hold it: write server_port"):
            opened(serial="8A1X0ABCD")
    finally:
        subprocess.run(["adb", "-P", str(adb.USERS_SERVER_PORT), "kill-server"], check=True)


def test_is_registered_by_its_serial(
    phone: AdbDevice, adb_server: int, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(adb, "SERVER_PORT", adb_server)
    monkeypatch.setenv("BENCH_DEVICES", str(tmp_path / "devices.toml"))
    (tmp_path / "devices.toml").touch()
    assert main(["devices", "add", "pixel", f"adb://{phone.serial}"]) == 0
    assert capsys.readouterr().out.startswith("pixel: aarch64, ")
    assert f'serial = "{phone.serial}"' in (tmp_path / "devices.toml").read_text()
    assert main(["devices", "add", "other", "adb://8A1X0ABCD/x"]) == 2
    assert "'adb://8A1X0ABCD/x' is not of the form adb://SERIAL" in capsys.readouterr().err


def test_heat_and_battery_are_told(device: RemoteDevice, phone: AdbDevice) -> None:
    (phone.folder / "dumpsys.battery").write_text(
        "Current Battery Service state:\n  AC powered: false\n  USB powered: true\n  level: 81\n"
        "  temperature: 273\n"
    )
    (phone.folder / "dumpsys.thermalservice").write_text("IsStatusOverride: false\nThermal Status: 2\n")
    state = device.state()
    names = ("battery_percent", "battery_temperature_c", "powered", "thermal_status")
    assert [state[name] for name in names] == ["81", "27.3", "USB", "2"]
    assert device.info().facts["thermal_status"] == "2"
