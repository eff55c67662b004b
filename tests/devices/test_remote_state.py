"""How a remote device is and what surrounds a trial on it: governor, frequencies, heat, power."""

from __future__ import annotations

from pathlib import Path

import pytest

from devices._remote import RemoteDevice
from tests.support.fake_sysfs import FakeSysfs
from tests.support.shell_transport import Remote


@pytest.fixture
def board(remote: Remote, tmp_path: Path) -> tuple[RemoteDevice, FakeSysfs]:
    """A device whose /sys is a folder of ours."""
    device, transport = remote
    sysfs = FakeSysfs(tmp_path / "sys")
    transport.environment["QB_SYS"] = str(sysfs.folder)
    return device, sysfs


def add_program(remote: Remote, name: str, text: str) -> None:
    path = remote[1].programs / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_state_is_what_changes(board: tuple[RemoteDevice, FakeSysfs]) -> None:
    device, sysfs = board
    state = device.state()
    known = {key: state[key] for key in ("governor", "core_mhz", "temperature_c", "throttles_at_c")}
    assert known == {
        "governor": "ondemand,schedutil",
        "core_mhz": "1500,1500",
        "temperature_c": "48.3",
        "throttles_at_c": "85.0",
    }
    assert float(state["load"]) >= 0
    assert state.keys() <= device.info().facts.keys()
    sysfs.write("class/thermal/thermal_zone0/temp", "-")
    assert "temperature_c" not in device.state()


def test_governor_is_held_and_put_back(board: tuple[RemoteDevice, FakeSysfs]) -> None:
    device, sysfs = board
    device.hold_governor()
    assert sysfs.governors() == ["performance", "performance"]
    device.restore_governor()
    assert sysfs.governors() == ["ondemand", "schedutil"]
    device.restore_governor()  # there is nothing to put back any more
    assert sysfs.governors() == ["ondemand", "schedutil"]


def test_governor_that_a_killed_controller_left_is_put_back_by_the_next(
    board: tuple[RemoteDevice, FakeSysfs], remote: Remote
) -> None:
    device, sysfs = board
    device.hold_governor()  # and this controller never comes back
    after = RemoteDevice("board", "shell", remote[1], "work folder")
    after.hold_governor()
    assert sysfs.governors() == ["performance", "performance"]
    after.restore_governor()
    assert sysfs.governors() == ["ondemand", "schedutil"]


def test_governor_of_an_earlier_boot_is_not_put_back(
    board: tuple[RemoteDevice, FakeSysfs], remote: Remote
) -> None:
    device, sysfs = board
    (remote[1].folder / "work folder" / "governors").write_text(
        f"another-boot\npowersave {sysfs.folder}/devices/system/cpu/cpu0/cpufreq/scaling_governor\n"
    )
    device.restore_governor()
    assert sysfs.governors() == ["ondemand", "schedutil"]
    device.hold_governor()
    device.restore_governor()
    assert sysfs.governors() == ["ondemand", "schedutil"]


def test_without_root_the_governor_is_left_alone(
    board: tuple[RemoteDevice, FakeSysfs], remote: Remote
) -> None:
    device, sysfs = board
    add_program(remote, "sudo", "exit 1")
    folder = sysfs.folder / "devices/system/cpu/cpu0/cpufreq"
    (folder / "scaling_governor").unlink()
    (folder / "scaling_governor").mkdir()  # what nobody can write, root included
    device.hold_governor()
    assert (folder / "scaling_governor").is_dir()
    assert device.state()["governor"] == "performance"  # of the other core
    device.restore_governor()


def test_device_without_governors_is_left_alone(remote: Remote, tmp_path: Path) -> None:
    device, transport = remote
    add_program(remote, "sudo", "exit 1")
    transport.environment["QB_SYS"] = str(tmp_path / "empty")
    device.hold_governor()
    device.restore_governor()
    assert device.state().keys() == {"load"}


def test_governor_is_set_through_sudo_that_asks_nothing(
    board: tuple[RemoteDevice, FakeSysfs], remote: Remote
) -> None:
    device, sysfs = board
    marker = sysfs.folder / "sudo-was-used"
    add_program(remote, "sudo", f'touch {marker}; cat >"{sysfs.folder}/written"')
    folder = sysfs.folder / "devices/system/cpu/cpu0/cpufreq"
    (folder / "scaling_governor").unlink()
    (folder / "scaling_governor").mkdir()
    device.hold_governor()
    assert marker.exists()
    assert (sysfs.folder / "written").read_text() == "performance\n"


def test_throttling_and_power_of_a_pi(board: tuple[RemoteDevice, FakeSysfs], remote: Remote) -> None:
    device, _ = board
    rails = (
        " 3V3_SYS_A current(1)=0.10000000A\\n 3V3_SYS_V volt(9)=3.30000000V\\n"
        " VDD_CORE_A current(7)=2.00000000A\\n VDD_CORE_V volt(15)=0.80000000V\\n EXT5V_V volt(24)=5.1V"
    )
    add_program(
        remote,
        "vcgencmd",
        f'case "$1" in get_throttled) echo throttled=0x50005 ;; pmic_read_adc) printf "{rails}\\n" ;; esac',
    )
    state = device.state()
    assert state["throttled"] == "throttled=0x50005"
    assert state["power_mw"] == "1930"


@pytest.mark.parametrize(("status", "power"), [("Discharging", "1600"), ("Charging", None)])
def test_power_of_a_battery_that_feeds_the_device(
    board: tuple[RemoteDevice, FakeSysfs], status: str, power: str | None
) -> None:
    device, sysfs = board
    sysfs.battery(status, -400_000, 4_000_000)
    state = device.state()
    assert state.get("power_mw") == power
    assert state["battery"] == f"81 % {status}"
