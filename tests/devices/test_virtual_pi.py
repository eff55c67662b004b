"""The virtual Pi: what it is, and what can happen to a whole machine: no room, no memory, reset."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from devices import ssh, virtual_pi
from devices.virtual_pi import VirtualPi
from harness import checkup, environment
from harness.deploy import deploy
from harness.errors import ConnectionLost, DeadlineError, DeviceError, UsageError
from tests.devices.conftest import virtual_pi_entry as entry


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "KEEPALIVE_S", 0.5)
    monkeypatch.setattr(ssh, "DEAD_S", 4.0)


def later(seconds: float, act: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


def test_it_is_a_pi_like_any_other(small: VirtualPi) -> None:
    info = small.info()
    assert (info.transport, info.arch, info.cpu, info.emulated) == (
        "virtual_pi",
        "aarch64",
        "cortex-a72",
        True,
    )
    assert info.facts["features"] == "neon"
    assert info.facts["emulator"].startswith("qemu ")
    assert [(core.part, core.max_khz, core.governor) for core in info.cores] == [
        ("cortex-a72", 1_500_000, "ondemand")
    ]
    assert small.run(["probe", "exit", "5"], 30).exit_code == 5
    assert small.run(["probe", "raise", "4"], 30).signal == "SIGILL"


GOVERNOR = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"


def test_check_sees_what_is_the_matter(small: VirtualPi) -> None:
    def verdicts() -> dict[str, bool | None]:
        return {point.name: point.good for point in checkup.points(small.info())}

    small.shell(f"chmod a-w {GOVERNOR}")
    before = verdicts()
    assert (before["governor"], before["throttled"], before["undervoltage"]) == (False, True, True)
    said = small.shell(f"chmod u+w {GOVERNOR}; echo 0x50001 >/run/fake/throttled")
    assert said.status == 0
    after = verdicts()  # a governor that a trial may set is none that is the matter
    assert (after["governor"], after["throttled"], after["undervoltage"]) == (True, True, False)
    small.shell("echo 0x0 >/run/fake/throttled")


def test_governor_is_held_in_a_trial_and_throttling_in_it_is_seen(small: VirtualPi) -> None:
    with environment.held_governor(small):
        before, states = small.state(), []
        assert before["governor"] == "performance"
        with environment.watched(small, states):
            timer = later(1, lambda: small.shell("echo 0x4 >/run/fake/throttled"))
            small.shell("sleep 5")
            timer.join()
        small.shell("echo 0x40000 >/run/fake/throttled")
        reasons = list(environment.disturbances(before, states, small.state(), 0))
    assert reasons == ["throttled during the trial: throttled"]
    assert any(state["throttled"] == "throttled=0x4" for state in states)
    assert small.state()["governor"] == "ondemand"
    small.shell("echo 0x0 >/run/fake/throttled")


def test_full_disk_is_named_and_nothing_is_left(small: VirtualPi, tmp_path: Path) -> None:
    small.shell(f"head -c {small.free_bytes() - (2 << 20)} /dev/zero >filler")
    free = small.free_bytes()
    (tmp_path / "large").write_bytes(os.urandom(4 << 20))
    with pytest.raises(
        DeviceError, match=r"device 'pi': its disk is full: large takes [\d,]+ bytes and [\d,]+"
    ):
        small.push(tmp_path / "large", "large")
    assert small.free_bytes() >= free - 100_000
    (tmp_path / "small").write_bytes(b"still fits")
    small.push(tmp_path / "small", "small")
    small.shell("rm filler")


@pytest.mark.slow
def test_out_of_memory_is_told_from_a_hang(small: VirtualPi) -> None:
    result = small.run(["probe", "hog"], 60)
    assert result.signal == "SIGKILL"
    assert result.stderr.endswith(b"the device was out of memory")
    assert small.run(["probe", "raise", "9"], 30).stderr == b""


def test_short_silence_of_the_machine_is_waited_for(small: VirtualPi, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(3 << 20))
    small.guest.command("stop")
    timer = later(2, lambda: small.guest.command("cont"))
    small.push(tmp_path / "file", "file")
    timer.join()
    assert small.has("file", hashlib.sha256((tmp_path / "file").read_bytes()).hexdigest())


@pytest.mark.slow
def test_clock_that_jumps_ends_nothing_early(probe: Callable[[str], Path]) -> None:
    device = virtual_pi.open(entry(user="root", disk_mb=128))
    try:
        device.push(probe("aarch64"), "probe")
        for date in ("2001-01-01 00:00:00", "2037-01-01 00:00:00"):
            timer = later(1, lambda date=date: device.shell(f"date -s '{date}'"))
            assert 2.5 < device.run(["probe", "nap", "3"], 60).wall_s < 40
            timer.join()
            with pytest.raises(DeadlineError, match="was still running after 3 s"):
                device.run(["probe", "stubborn"], 3)
        assert abs(int(device.info().facts["clock_offset_s"])) > 86400  # which `check` reports
    finally:
        device.close()


@pytest.mark.slow
def test_dead_network_in_a_run(small: VirtualPi, impatient: None) -> None:
    small.reap(small.session)  # over a connection that is watched from now on
    small._transport.connect()

    def link(up: bool) -> None:
        small.guest.command("set_link", name="net", up=up)

    timers = [later(2, lambda: link(False)), later(9, lambda: link(True))]
    with pytest.raises(ConnectionLost, match="while it ran 'probe stubborn'; the program was killed"):
        small.run(["probe", "stubborn"], 60)
    for timer in timers:
        timer.join()
    assert small.run(["probe", "exit", "3"], 30).exit_code == 3
    assert b"probe" not in small.shell("ps -e -o args").stdout.replace(b"ps -e", b"")


@pytest.mark.slow
def test_reboot_in_a_run_is_named_and_the_device_used_again(
    small: VirtualPi, probe: Callable[[str], Path], impatient: None
) -> None:
    small.shell("sync")
    small._transport.connect()
    timer = later(2, lambda: small.guest.command("system_reset"))
    with pytest.raises(DeviceError, match="device 'pi': the device rebooted while it ran 'probe stubborn'"):
        small.run(["probe", "stubborn"], 60)
    timer.join()
    runner = deploy(small, probe("aarch64")).runner
    assert small.run([runner, "exit", "3"], 30).exit_code == 3


def test_it_is_gone_with_whoever_opened_it(small: VirtualPi) -> None:
    second = virtual_pi.open(entry())
    second.guest._process.stdin.close()  # as the system does for a process that is killed
    second.guest._process.wait(10)
    with pytest.raises(DeviceError, match="QEMU"):
        second.guest.command("query-status")
    second.guest._work.cleanup()


@pytest.mark.slow
def test_icount_gives_times_that_repeat(small: VirtualPi, probe: Callable[[str], Path]) -> None:
    device = virtual_pi.open(entry(icount=True))
    try:
        device.push(probe("aarch64"), "probe")
        spent = []
        for _ in range(3):
            start = float(device.shell("cut -d' ' -f1 /proc/uptime").stdout)
            device.run(["probe", "work", "100000000"], 120)
            spent.append(float(device.shell("cut -d' ' -f1 /proc/uptime").stdout) - start)
        assert max(spent) > 0.3
    finally:
        device.close()


@pytest.mark.slow
def test_disk_without_snapshot_keeps_what_was_written(fresh_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    digest = hashlib.sha256(b"content").hexdigest()
    device = virtual_pi.open(entry(snapshot=False, disk_mb=160))
    device.push(tmp_path / "file", "file")
    device.close()
    device = virtual_pi.open(entry(snapshot=False, disk_mb=160))
    assert device.has("file", digest)
    device.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cpu": "pentium"}, "'cpu' must be cortex-a53 or .*, not 'pentium'"),
        ({"user": "me"}, "'user' must be pi or root, not 'me'"),
        ({"snapshot": "no"}, "'snapshot' must be true or false, not 'no'"),
        ({"cores": 0}, "'cores' must be a whole number above 0"),
        ({"icount": True, "cores": 2}, "with 'icount' it has one core"),
        ({"hots": 1}, "unknown setting 'hots'"),
    ],
)
def test_bad_entry_names_its_fault(settings: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        virtual_pi.open(entry(**settings))


def test_without_its_programs_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(virtual_pi._guest_image, "SBIN", "")
    with pytest.raises(DeviceError, match="needs apt-get, which is not installed: run `apt-get install apt`"):
        virtual_pi.open(entry())
