"""What the device around a trial must be like, and which verdict each disturbance leads to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import DeviceInfo
from harness import checkup, environment
from harness.errors import DeviceError
from harness.measure import measure
from harness.trial import QUICK
from tests.support.fake_device import FakeDevice
from tests.test_trial import F32


@pytest.mark.parametrize(
    ("before", "during", "after", "reasons"),
    [
        ("0x0", [], "0x0", []),
        ("0x50000", ["0x50000"], "0x50000", []),
        ("0x0", ["0x4"], "0x40000", ["throttled"]),
        ("0x0", [], "0x10000", ["undervoltage"]),
        ("0x10000", [], "0x90000", ["soft temperature limit"]),
        ("0x2", [], "0x0", ["frequency capped"]),
        ("0x0", ["0x1", "0x2"], "0x30000", ["undervoltage", "frequency capped"]),
        ("nonsense", ["throttled=0x5"], "", ["undervoltage", "throttled"]),
    ],
)
def test_throttling_bits_now_or_newly_since_the_boot(before, during, after, reasons):
    states = [{"throttled": text} for text in during]
    found = environment.disturbances({"throttled": before}, states, {"throttled": after}, 0)
    assert list(found) == [f"throttled during the trial: {name}" for name in reasons]


@given(st.integers(0, 15), st.integers(0, 15), st.integers(0, 15))
def test_only_what_is_new_or_now_counts(earlier, now, newly):
    before, after = earlier << 16, (earlier | newly) << 16 | now
    found = list(environment.disturbances({"throttled": hex(before)}, [], {"throttled": hex(after)}, None))
    assert len(found) == (now | (newly & ~earlier)).bit_count()


@pytest.mark.parametrize(
    ("status", "name"), [("0", None), ("1", "light"), ("3", "severe"), ("9", "shutdown")]
)
def test_androids_thermal_status(status, name):
    found = list(environment.disturbances({}, [{"thermal_status": status}], {}, None))
    assert found == ([f"throttled during the trial: Android's thermal status was '{name}'"] if name else [])


def test_frequency_of_the_pinned_core_alone_counts():
    states = [{"core_mhz": text} for text in ("600,1500", "1500,1480", "900,?")]
    assert list(environment.disturbances({}, states, {}, 1)) == []
    assert list(environment.disturbances({}, states, {}, 0)) == [
        "the frequency of core 0 changed (600 to 1500 MHz)"
    ]
    assert list(environment.disturbances({}, states, {}, None)) == []
    assert list(environment.disturbances({}, states, {}, 7)) == []


@pytest.mark.parametrize(
    ("facts", "limit"),
    [({}, 60), ({"throttles_at_c": "85.0"}, 75), ({"throttles_at_c": "85.0", "cool_c": "40"}, 40)],
)
def test_what_counts_as_cool(facts, limit):
    assert environment.cool_limit(facts) == limit


def hot(*temperatures: float) -> FakeDevice:
    return FakeDevice(states=[{"temperature_c": f"{value}"} for value in temperatures])


def test_a_hot_device_is_waited_for_with_progress(monkeypatch):
    monkeypatch.setattr(environment, "LOOK_S", 0.001)
    seen = []
    assert environment.await_cool(hot(71.5, 65, 59.9), lambda *step: seen.append(step[0])) is None
    assert [text.partition(",")[0] for text in seen] == ["cooling: 71.5 °C", "cooling: 65 °C"]


def test_a_device_that_stays_hot_makes_its_cells_invalid(monkeypatch):
    monkeypatch.setattr(environment, "COOLING_S", 0.0)
    (measurement,) = measure(hot(80), "runner", "tiny", [F32], QUICK)
    assert measurement.cell.verdict == "invalid"
    assert "too hot: 80 °C" in measurement.cell.reasons[0]


def test_a_device_without_a_sensor_is_not_waited_for():
    seen = []
    device = FakeDevice(states=[{"load": "3"}])
    assert environment.await_cool(device, lambda *step: seen.append(step)) is None
    assert seen == []


def test_the_governor_is_restored_whatever_happens():
    device = FakeDevice()
    with pytest.raises(KeyError), environment.held_governor(device):
        raise KeyError
    assert device.commands == [["hold_governor"], ["restore_governor"]]

    def lost() -> None:
        raise DeviceError("gone")

    device.restore_governor = lost
    with environment.held_governor(device):
        pass


def test_states_are_sampled_while_the_block_runs_and_not_after(monkeypatch):
    monkeypatch.setattr(environment, "SETTLE_S", 0.001)
    monkeypatch.setattr(environment, "SAMPLE_S", 0.001)
    device = FakeDevice(states=[{"throttled": f"{i}"} for i in range(10_000)])
    states: list[dict[str, str]] = []
    with environment.watched(device, states):
        while len(states) < 5:
            pass
    count = len(states)
    assert [state["throttled"] for state in states] == [f"{i}" for i in range(count)]
    left = len(device.states)
    assert len(device.states) == left


def test_a_device_with_nothing_to_sample_is_left_in_peace(monkeypatch):
    monkeypatch.setattr(environment, "SETTLE_S", 0.001)
    monkeypatch.setattr(environment, "SAMPLE_S", 0.001)
    device, asked = FakeDevice(), []
    device.state = lambda: asked.append(1) or {"load": "1"}
    with environment.watched(device, []):
        while not asked:
            pass
    assert len(asked) == 1


def test_energy_is_mean_power_times_the_median_latency(monkeypatch):
    assert environment.energy_mj([], 20) is None
    assert environment.energy_mj([{"load": "1"}], 20) is None
    assert environment.energy_mj([{"power_mw": "2000"}, {"power_mw": "3000"}, {}], 20) == 50


def test_load_of_others_is_a_warning():
    assert list(environment.load_warnings({"load": "0.4"}, {"load": "1.4"})) == []
    (warning,) = environment.load_warnings({"load": "0.4"}, {"load": "3.1"})
    assert warning.startswith("other programs ran on the device (load average 3.1")
    (measurement,) = measure(FakeDevice(facts=[{"load": "2.5"}]), "runner", "tiny", [F32], QUICK)
    assert measurement.cell.verdict == "valid"
    assert any("load average 2.5" in text for text in measurement.cell.warnings)


def test_hardware_counters_fill_in_where_nothing_emulates():
    (measurement,) = measure(FakeDevice(hardware_instructions=4_000_000), "runner", "tiny", [F32], QUICK)
    assert measurement.cell.instructions == 4_000_000
    (measurement,) = measure(FakeDevice(), "runner", "tiny", [F32], QUICK)
    assert measurement.cell.instructions is None


@pytest.mark.parametrize(
    ("facts", "name", "good"),
    [
        ({"governor": "performance"}, "governor", True),
        ({"governor": "ondemand"}, "governor", False),
        ({"governor": "ondemand", "governor_settable": "no"}, "governor", False),
        ({"governor": "ondemand", "governor_settable": "yes"}, "governor", True),
        ({}, "governor", None),
        ({"temperature_c": "70", "throttles_at_c": "85"}, "temperature", True),
        ({"temperature_c": "70"}, "temperature", False),
        ({"thermal_status": "1"}, "thermal status", False),
        ({"throttled": "throttled=0x50005"}, "throttled", False),
        ({"throttled": "throttled=0x50005"}, "frequency capped", True),
        ({"load": "0.6"}, "load", False),
        ({"disk_free_mb": "499"}, "free disk", False),
        ({"clock_offset_s": "-61"}, "clock", False),
        ({"clock_offset_s": "hello"}, "clock", None),
    ],
)
def test_checkup(facts, name, good):
    info = DeviceInfo("board", "ssh", "aarch64", "cortex-a72", False, facts)
    (point,) = [point for point in checkup.points(info) if point.name == name]
    assert point.good is good
    assert good is not False or point.remedy
