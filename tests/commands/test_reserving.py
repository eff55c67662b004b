"""bench devices lock, unlock and clean, as a user types them."""

from __future__ import annotations

import pytest

import devices
from harness import build, lease
from harness.cli import main
from harness.deploy import deploy
from harness.errors import DeviceError


@pytest.fixture
def grants(tmp_path, monkeypatch, fresh_cache):
    runner = build.runner(build.host_arch())
    monkeypatch.setattr(build, "runner", lambda arch, *_: runner)
    device = devices.open_device("local")
    return lease.Grants(device, deploy(device, runner).runner)


def test_a_locked_device_lets_only_its_owner_in(grants, capsys):
    assert main(["devices", "lock", "local", "--for", "10m"]) == 0
    assert capsys.readouterr().out == "local is yours for 10:00; earlier: bench devices unlock local\n"
    with pytest.raises(DeviceError, match="in use by"), lease.held(grants.device, grants.runner):
        pytest.fail("let in without the token")
    with lease.held(grants.device, grants.runner, reservation=lease.own_reservation("local")):
        pass
    assert main(["devices", "unlock", "local"]) == 0
    assert "local is free; it was held by" in capsys.readouterr().out
    with lease.held(grants.device, grants.runner):
        pass
    assert main(["devices", "unlock", "local"]) == 0
    assert capsys.readouterr().out == "local is free (it was before)\n"


def test_somebody_elses_lock_is_named_and_only_forced(grants, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(lease.getpass, "getuser", lambda: "eve")
        grants.ask("reserve", "hers", ttl_s=600)
    assert main(["devices", "lock", "local"]) == 3
    assert "device 'local' is kept by eve@" in capsys.readouterr().err
    assert main(["devices", "unlock", "local"]) == 2
    assert "device 'local' is held by eve@" in capsys.readouterr().err
    assert main(["devices", "unlock", "local", "--force"]) == 0


def test_too_long_a_lock_is_refused(grants, capsys):
    assert main(["devices", "lock", "local", "--for", "1000h"]) == 2
    assert "7 days at most" in capsys.readouterr().err


def test_clean_removes_what_was_sent(grants, capsys):
    assert main(["devices", "clean", "local"]) == 0
    assert capsys.readouterr().out.startswith("local: ")
    assert not [file for file in grants.device.files() if file.name == grants.runner]
