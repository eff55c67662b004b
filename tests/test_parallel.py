"""Which devices work at the same time, and what becomes of their results."""

from __future__ import annotations

import threading

import pytest

from devices import DeviceInfo
from harness import parallel
from harness.errors import DeviceError


def info(name, transport="ssh", emulated=False, **facts):
    return DeviceInfo(name, transport, "aarch64", "cortex-a72", emulated, facts)


def test_devices_of_one_machine_take_turns():
    own_boot = parallel.BOOT_ID.read_text().strip()
    infos = [
        info("local", "local"),
        info("pi4", boot_id="another"),
        info("qemu", "qemu", emulated=True),
        info("loopback", boot_id=own_boot),
        info("pixel", "adb"),
    ]
    assert parallel.machines(infos) == [["local", "qemu", "loopback"], ["pi4"], ["pixel"]]


def test_groups_work_at_the_same_time_and_their_members_in_order():
    both = threading.Barrier(2, timeout=10)

    def work(name):
        if name != "c":
            both.wait()  # only where a and b are at work together
        yield f"{name}1"
        yield f"{name}2"

    found = list(parallel.results([["a", "c"], ["b"]], work))
    assert sorted(found) == ["a1", "a2", "b1", "b2", "c1", "c2"]
    assert [result for result in found if result[0] in "ac"] == ["a1", "a2", "c1", "c2"]


def test_one_group_works_in_the_callers_thread():
    assert list(parallel.results([["a"]], lambda name: iter([threading.current_thread()]))) == [
        threading.current_thread()
    ]


def test_an_error_is_raised_after_the_other_groups_results():
    def work(name):
        yield name
        if name == "a":
            raise DeviceError("device 'a' is gone")

    results = parallel.results([["a", "after a"], ["b", "c"]], work)
    assert sorted(next(results) for _ in range(3)) == ["a", "b", "c"]
    with pytest.raises(DeviceError, match="'a' is gone"):
        next(results)
