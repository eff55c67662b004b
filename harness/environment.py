"""The device around a trial: governor held, cool at the start, watched while it measures.

    with held_governor(device):                     for as long as its lease is held
        await_cool(device, progress)                before each model
        with watched(device, states):               around each timed process
            …
    disturbances(before, states, after, core)       what makes the cell invalid

A fact that a device does not tell is skipped; the facts that are stored with a cell show which it told.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from threading import Event, Thread

from devices import Device
from harness.errors import DeviceError
from harness.text import clean, duration

State = dict[str, str]  # facts of a device at one moment

COOL_C = 60.0  # where the device does not say at what temperature it throttles
BELOW_THROTTLING_C = 10.0
COOLING_S = 600.0  # the longest that a device is waited for
LOOK_S = 5.0  # between two looks at the temperature
SETTLE_S = 0.5  # a core is at its frequency this long after a program has begun
SAMPLE_S = 2.0
FREQUENCY_SHARE = 0.05  # that the core's frequency may vary by: turbo steps of x86 are smaller
OWN_LOAD = 1.0  # that a trial itself makes, on its one core
OTHERS_LOAD = 0.5
# Bits of `vcgencmd get_throttled` that say what is the matter now; 16 bits higher, since the boot.
THROTTLED = {
    0: ("undervoltage", "use the power supply that the board's maker names"),
    1: ("frequency capped", "give it a better power supply and more cooling"),
    2: ("throttled", "let it cool down, or give it a fan"),
    3: ("soft temperature limit", "let it cool down, or give it a fan"),
}
SINCE_BOOT = 16
THERMAL_STATUS = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")  # Android's
# Facts that must not change during a trial, and what it means when they do.
SAMPLED = {"core_mhz", "throttled", "thermal_status", "power_mw"}  # worth asking for while something runs
STABLE_FACTS = {"boot_id": "the device rebooted during the trial", "governor": "the governor changed"}


@contextlib.contextmanager
def held_governor(device: Device) -> Iterator[None]:
    """The governor `performance`, where the device lets us, and what was there before put back at the end.

    A controller that is killed leaves it to the next one, whose own end puts it back.
    """
    device.hold_governor()
    try:
        yield
    finally:
        with contextlib.suppress(DeviceError):  # a lost device is told by what was measured on it
            device.restore_governor()


def await_cool(device: Device, progress: Callable[[str, int, int], None]) -> str | None:
    """Waits until the device is cool; why the trial may not be trusted where it stays hot, else None.

    Cool is the entry's `cool_c`, or 10 °C under where the device throttles, or 60 °C. A device without a
    sensor is not waited for. Raises DeviceError.
    """
    deadline = time.monotonic() + COOLING_S
    while True:
        state = device.state()
        temperature, limit = number(state, "temperature_c"), cool_limit(state)
        if temperature is None or temperature <= limit:
            return None
        left = deadline - time.monotonic()
        if left <= 0:
            return f"too hot: {temperature:g} °C after {duration(COOLING_S)}, where {limit:g} °C is cool"
        progress(f"cooling: {temperature:g} °C, until {limit:g} °C, for at most {duration(left)}", 0, 0)
        time.sleep(min(LOOK_S, left))


def cool_limit(facts: State) -> float:
    """Degrees Celsius at which a trial may begin."""
    asked, throttles_at = number(facts, "cool_c"), number(facts, "throttles_at_c")
    if asked is not None:
        return asked
    return COOL_C if throttles_at is None else throttles_at - BELOW_THROTTLING_C


@contextlib.contextmanager
def watched(device: Device, states: list[State]) -> Iterator[None]:
    """Adds the device's state to `states` every SAMPLE_S, from another thread, until the block ends."""
    done = Event()
    watcher = Thread(target=_watch, args=(device, states, done), name="device watcher", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(device: Device, states: list[State], done: Event) -> None:
    pause = SETTLE_S
    while not done.wait(pause):
        try:
            state = device.state()
        except DeviceError:
            return  # the program that is measured is lost with it, and says so
        if not state.keys() & SAMPLED:
            return
        if not done.is_set():  # else it may be of the time after the program
            states.append(state)
        pause = SAMPLE_S


def disturbances(before: State, during: Sequence[State], after: State, core: int | None) -> Iterator[str]:
    """What makes a trial invalid. core: the one it was pinned to, None where it was not."""
    for fact, meaning in STABLE_FACTS.items():
        if fact in before and fact in after and before[fact] != after[fact]:
            yield f"{meaning} ({fact} {clean(before[fact], 60)} -> {clean(after[fact], 60)})"
    yield from _throttling(before, [*during, after])
    yield from _heat([before, *during, after])
    known = [khz for state in during if (khz := _core_mhz(state, core)) is not None]
    if known and max(known) - min(known) > FREQUENCY_SHARE * max(known):
        yield f"the frequency of core {core} changed ({min(known)} to {max(known)} MHz)"


def _throttling(before: State, later: Sequence[State]) -> Iterator[str]:
    """Bits that are set now, at any time, and those 'since the boot' that were not set before."""
    first = throttled_bits(before.get("throttled", ""))
    bits = [found for state in later if (found := throttled_bits(state.get("throttled", ""))) is not None]
    for bit, (name, _) in THROTTLED.items():
        now = any(value >> bit & 1 for value in [first or 0, *bits])
        newly = first is not None and any(value & ~first & 1 << (bit + SINCE_BOOT) for value in bits)
        if now or newly:
            yield f"throttled during the trial: {name}"


def _heat(states: Sequence[State]) -> Iterator[str]:
    worst = max(
        (int(status) for state in states if (status := state.get("thermal_status", "")).isdecimal()),
        default=0,
    )
    if worst:
        name = THERMAL_STATUS[min(worst, len(THERMAL_STATUS) - 1)]
        yield f"throttled during the trial: Android's thermal status was '{name}'"


def throttled_bits(text: str) -> int | None:
    """Of `throttled=0x50000` or `50000`; None where it is neither."""
    try:
        return int(text.rpartition("=")[2], 16)
    except ValueError:
        return None


def load_warnings(before: State, after: State) -> Iterator[str]:
    """Whether others used the device more than the trial's own core accounts for."""
    load = max(
        (value for state in (before, after) if (value := number(state, "load")) is not None), default=0.0
    )
    if load > OWN_LOAD + OTHERS_LOAD:
        yield f"other programs ran on the device (load average {load:g}, ours is {OWN_LOAD:g}); end them"


def energy_mj(states: Sequence[State], latency_ms: float) -> float | None:
    """Millijoules of one inference: the whole device's mean power while it ran, times the median latency."""
    power = [value for state in states if (value := number(state, "power_mw")) is not None]
    return sum(power) / len(power) * latency_ms / 1000 if power else None


def number(facts: State, name: str) -> float | None:
    """A fact that is a number; None where it is absent or something else."""
    try:
        return float(facts[name])
    except (KeyError, ValueError):
        return None


def _core_mhz(state: State, core: int | None) -> int | None:
    listed = state.get("core_mhz", "").split(",")
    known = core is not None and core < len(listed) and listed[core].isdecimal()
    return int(listed[core]) if known else None
