"""What a device needs for valid trials: each point found good or bad, and what to do about a bad one.

A point that the device does not tell is neither: unknown is not good.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from devices import DeviceInfo
from harness.environment import THROTTLED, cool_limit, number, throttled_bits

LOAD = 0.5  # of a device that does nothing else
FREE_DISK_MB = 500  # the runner, a large network in three variants, and a data set
FREE_MEMORY_MB = 256
CLOCK_S = 60  # between the device's clock and this machine's


@dataclass(frozen=True)
class Point:
    """good: None where the device does not tell. remedy: for a point that is not good."""

    name: str
    good: bool | None
    found: str
    remedy: str


def points(info: DeviceInfo) -> list[Point]:
    """Every point, for a device as it is now."""
    return [_governor(info), *_throttling(info), *_thermal_status(info), *_numbers(info)]


def _governor(info: DeviceInfo) -> Point:
    """Good where it is `performance`, or where a trial can set it for its own time."""
    found = info.facts.get("governor")
    if found != "performance" and info.facts.get("governor_settable") == "yes":
        return Point("governor", True, f"{found}; a trial sets performance and puts this back", "")
    remedy = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    return Point("governor", None if found is None else found == "performance", found or "", remedy)


def _throttling(info: DeviceInfo) -> Iterator[Point]:
    bits = throttled_bits(info.facts.get("throttled", ""))
    for bit, (name, remedy) in THROTTLED.items():
        if bits is None:
            yield Point(name, None, "", "")
            continue
        now, earlier = bits >> bit & 1, bits >> (bit + 16) & 1
        found = "now" if now else "since the boot, not now" if earlier else "no"
        yield Point(name, not now, found, remedy)


def _thermal_status(info: DeviceInfo) -> Iterator[Point]:
    """Of Android devices, which alone have one."""
    if (found := info.facts.get("thermal_status", "")).isdecimal():
        yield Point("thermal status", found == "0", found, "let it cool down; take it out of its case")


def _numbers(info: DeviceInfo) -> Iterator[Point]:
    """Points that are a number within a bound."""
    bounds = (
        ("temperature", "temperature_c", -273.0, cool_limit(info.facts), "°C", "let it cool down"),
        ("load", "load", 0.0, LOAD, "", "end other programs on it, then wait a minute"),
        ("free disk", "disk_free_mb", FREE_DISK_MB, 1e12, "MB", "delete something on it"),
        ("free memory", "memory_available_mb", FREE_MEMORY_MB, 1e12, "MB", "end other programs on it"),
        (
            "clock",
            "clock_offset_s",
            -CLOCK_S,
            CLOCK_S,
            "s off",
            "set its clock: sudo timedatectl set-ntp true",
        ),
    )
    for name, fact, least, most, unit, remedy in bounds:
        value = number(info.facts, fact)
        good = None if value is None else least <= value <= most
        yield Point(name, good, "" if value is None else f"{info.facts[fact]} {unit}".strip(), remedy)
