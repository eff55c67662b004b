"""Leases are tried with the real runner on this machine: the file on the device decides."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

import devices
from harness import build, lease
from harness.deploy import deploy
from harness.environment import held_governor
from harness.errors import DeviceError, TrialError
from harness.runner_output import new_nonce, read_info


@pytest.fixture
def device(tmp_path, monkeypatch):
    monkeypatch.setenv("QUANTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "runner", lambda arch, *_: RUNNER)
    return devices.open_device("local")


RUNNER = build.runner(build.host_arch())


@pytest.fixture
def runner(device):
    return deploy(device, RUNNER).runner


def info(device, runner):
    nonce = new_nonce()
    return read_info(device.run([runner, "info", "--nonce", nonce], 30), nonce)


def test_a_held_device_is_refused_to_others_and_free_afterwards(device, runner):
    with lease.held(device, runner) as leased:
        assert info(leased, runner).cores >= 1
        with (
            pytest.raises(DeviceError, match=r"device 'local' is in use by .+ pid \d+, for another 1:00"),
            lease.held(device, runner),
        ):
            pytest.fail("two owners")
    with lease.held(device, runner):
        pass


def test_waiting_takes_the_device_when_its_owner_stops_renewing(device, runner):
    grants = lease.Grants(device, runner)
    assert grants.ask("acquire", "dead", ttl_s=1.0).granted == "yes"
    told = []
    with lease.held(device, runner, wait_s=20.0, waiting=told.append) as leased:
        info(leased, runner)
    assert told
    assert "in use by" in told[0]


def test_the_heartbeat_outlasts_the_time_to_live(device, runner, monkeypatch):
    monkeypatch.setattr(lease, "TTL_S", 0.6)
    monkeypatch.setattr(lease, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(lease.Grants.ask, "__kwdefaults__", {"ttl_s": 0.6, "reservation": None, "gone": None})
    with lease.held(device, runner) as leased:
        time.sleep(1.2)
        assert lease.Grants(device, runner).ask("show", "x").granted == "no"
        info(leased, runner)


def test_a_stale_owner_is_fenced_off(device, runner, monkeypatch):
    monkeypatch.setattr(lease, "HEARTBEAT_S", 3600.0)  # as if this process had been stopped
    with lease.held(device, runner) as stale:
        grants = lease.Grants(device, runner)
        grants.ask("clear", "x")
        assert grants.ask("acquire", "another").granted == "yes"
        with pytest.raises(TrialError, match=r"the lease on this device is lost: .+ pid \d+"):
            info(stale, runner)
        stale.renew()
        with pytest.raises(DeviceError, match="lease lost to"):
            info(stale, runner)
    assert grants.ask("renew", "another").granted == "yes"  # leaving did not release the new owner's lease


def test_who_lost_the_lease_leaves_the_governor_to_its_next_owner(device, runner, monkeypatch):
    asked = []
    monkeypatch.setattr(device, "hold_governor", lambda: asked.append("hold"))
    monkeypatch.setattr(device, "restore_governor", lambda: asked.append("restore"))
    with lease.held(device, runner) as first, held_governor(first):
        (device.folder / lease.FILE).unlink()  # as `bench devices unlock --force` elsewhere does
        with lease.held(device, runner) as second, held_governor(second):
            first.renew()
            first.restore_governor()
            assert asked == ["hold", "hold"]
    assert asked == ["hold", "hold", "restore"]


def test_a_reservation_lets_in_who_knows_it(device, runner):
    grants = lease.Grants(device, runner)
    assert grants.ask("reserve", "ours", ttl_s=60).granted == "yes"
    assert grants.ask("acquire", "a").granted == "no"
    assert grants.ask("reserve", "theirs").granted == "no"
    assert grants.ask("acquire", "a", reservation="ours").granted == "yes"
    assert grants.ask("acquire", "b", reservation="ours").granted == "no"
    assert grants.ask("clear", "x").granted == "yes"
    assert grants.ask("acquire", "b").granted == "yes"


@pytest.mark.parametrize(
    "content", [b"", b"leased", b"\xff" * 3000, b"leased x 99999999999999999999 y z\n", b"\n\n"]
)
def test_a_damaged_file_counts_as_nobody(device, runner, content):
    (device.folder / lease.FILE).write_bytes(content)
    with lease.held(device, runner) as leased:
        info(leased, runner)


def test_a_lease_of_another_boot_is_over(device, runner):
    line = f"leased old {2**62} 00000000-0000-0000-0000-000000000000 someone\n"
    (device.folder / lease.FILE).write_text(line)
    with lease.held(device, runner):
        pass


def start(words: list[str], **environment: str) -> subprocess.Popen:
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def granted(process: subprocess.Popen) -> bool:
    lines = process.communicate(timeout=60)[0].decode().splitlines()
    return any(json.loads(line).get("granted") == "yes" for line in lines)


def contend(folder: Path, rounds: int, processes: int = 8) -> None:
    """Every round: all ask at once and one wins; the winner of the round before can do nothing any more."""
    file = folder / lease.FILE
    before = None
    for turn in range(rounds):
        tokens = [f"r{turn}p{i}" for i in range(processes)]
        words = [str(RUNNER), "lease", "--action", "acquire", "--file", str(file), "--holder", "test"]
        asked = [start([*words, "--token", token, "--ttl-ms", "600000"]) for token in tokens]
        winners = [token for token, process in zip(tokens, asked, strict=True) if granted(process)]
        assert len(winners) == 1, f"round {turn}: {winners}"
        for token, status in ((winners[0], 0), *([(before, 2)] if before else [])):
            fenced = start([str(RUNNER), "info"], QB_LEASE=f"{file}:{token}")
            fenced.communicate(timeout=60)
            assert fenced.returncode == status, f"round {turn}: {token}"
        before = winners[0]
        # The lease runs out: as if the winner had been stopped for longer than it lasts.
        text = file.read_text().split(" ")
        file.write_text(" ".join([*text[:2], "1", *text[3:]]))


def test_contended_rounds_have_one_winner_each(tmp_path):
    contend(tmp_path, rounds=30)


@pytest.mark.slow
def test_a_thousand_contended_rounds(tmp_path):
    contend(tmp_path, rounds=1000)
