"""What a device says of itself (`remote.sh facts`), turned into a DeviceInfo."""

from __future__ import annotations

import re
import time
from pathlib import Path

from devices import Core, DeviceInfo
from harness.errors import DeviceError
from harness.text import clean

SCRIPT = Path(__file__).with_name("remote.sh")
# ELF header of /bin/sh: e_ident[EI_CLASS] and e_machine (System V ABI, figure 4-4).
ELF_ARCHS = {("02", "b700"): "aarch64", ("01", "2800"): "armv7", ("02", "3e00"): "x86_64"}
MACHINES = {"aarch64": "aarch64", "armv7l": "armv7", "armv8l": "armv7", "x86_64": "x86_64"}
# CPU implementer 0x41: parts of the Main ID Register, from each core's Technical Reference Manual.
ARM_PARTS = {
    "0xc05": "cortex-a5",
    "0xc07": "cortex-a7",
    "0xc08": "cortex-a8",
    "0xc09": "cortex-a9",
    "0xc0e": "cortex-a17",
    "0xc0f": "cortex-a15",
    "0xd03": "cortex-a53",
    "0xd04": "cortex-a35",
    "0xd05": "cortex-a55",
    "0xd07": "cortex-a57",
    "0xd08": "cortex-a72",
    "0xd09": "cortex-a73",
    "0xd0a": "cortex-a75",
    "0xd0b": "cortex-a76",
    "0xd0d": "cortex-a77",
    "0xd41": "cortex-a78",
    "0xd44": "cortex-x1",
    "0xd46": "cortex-a510",
    "0xd47": "cortex-a710",
    "0xd48": "cortex-x2",
    "0xd4d": "cortex-a715",
    "0xd4e": "cortex-x3",
    "0xd80": "cortex-a520",
    "0xd81": "cortex-a720",
    "0xd82": "cortex-x4",
}
FEATURES = {  # as the kernel and as the runner call them
    "neon": "neon",
    "asimd": "neon",
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "asimdhp": "fp16",
    "bf16": "bf16",
    "sve": "sve",
}
MAX_LINES = 5000
KEPT = ("kernel", "boot_id", "board", "os", "android", "soc", "governor_settable")


def read_facts(said: bytes) -> dict[str, list[str]]:
    """The `name=value` lines, every value of a name in order. Lines that are none are left out."""
    facts: dict[str, list[str]] = {}
    for line in said.decode("utf-8", "replace").splitlines()[:MAX_LINES]:
        name, equals, value = line.partition("=")
        if equals and value.strip():
            facts.setdefault(name.strip(), []).append(value.strip())
    return facts


def describe(name: str, transport: str, facts: dict[str, list[str]], *, emulated: bool) -> DeviceInfo:
    """Raises DeviceError for an architecture that the runner is not compiled for."""
    cores = read_cores(facts)
    fastest = max(cores, key=lambda core: (core.capacity or 0, core.max_khz or 0), default=None)
    cpu = (fastest and fastest.part) or _first(facts, "model name") or "unknown"
    shown = {key: _first(facts, key) for key in KEPT} | {
        "machine": _first(facts, "machine"),
        "clusters": _clusters(cores),
        "features": _features(facts),
        "memory_mb": _megabytes(_first(facts, "MemTotal")),
        "memory_available_mb": _megabytes(_first(facts, "MemAvailable")),
        "disk_free_mb": _disk_free(_first(facts, "disk")),
        "clock_offset_s": _clock_offset(_first(facts, "seconds")),
    }
    kept = {key: clean(value, 200) for key, value in shown.items() if value} | read_state(facts)
    return DeviceInfo(name, transport, _arch(facts), clean(cpu, 60), emulated, kept, tuple(cores))


def read_state(facts: dict[str, list[str]]) -> dict[str, str]:
    """The facts that change while a device works; one that it does not tell is absent."""
    cores = read_cores(facts)
    shown = {
        "governor": ",".join(sorted({core.governor for core in cores if core.governor})),
        "core_mhz": _frequencies(cores),
        "load": _first(facts, "load").partition(" ")[0],
        "temperature_c": _temperature(facts),
        "throttles_at_c": _lowest_trip(facts),
        "throttled": _first(facts, "throttled"),
        "thermal_status": _first(facts, "thermal_status"),
        "battery": _first(facts, "battery"),
        "battery_percent": _first(facts, "battery_level"),
        "battery_temperature_c": _scaled(_first(facts, "battery_temperature"), 10),
        "powered": ",".join(facts.get("powered", [])),
        "power_mw": _power_chip(facts) or _battery_power(facts),
    }
    return {key: clean(value, 200) for key, value in shown.items() if value}


def read_cores(facts: dict[str, list[str]]) -> list[Core]:
    """Every core that the device lists, by number."""
    parts = _parts(facts)
    cores = []
    for number in sorted(int(found[1]) for key in facts if (found := re.fullmatch(r"core(\d{1,4})", key))):
        capacity, max_khz, khz, governor = (*_first(facts, f"core{number}").split(), "-", "-", "-", "-")[:4]
        cores.append(
            Core(
                number,
                parts.get(number),
                *(int(text) if text.isdecimal() else None for text in (capacity, max_khz, khz)),
                None if governor == "-" else governor,
            )
        )
    return cores


def _parts(facts: dict[str, list[str]]) -> dict[int, str]:
    """The name of each core by its number. Older kernels name the part once for all."""
    numbers = [int(text) for text in facts.get("processor", []) if text.isdecimal()]
    pairs = zip(facts.get("CPU implementer", []), facts.get("CPU part", []), strict=False)
    names = [
        (ARM_PARTS.get(part) if maker == "0x41" else None) or f"implementer {maker} part {part}"
        for maker, part in pairs
    ]
    if len(names) == 1:
        names *= len(numbers)
    return dict(zip(numbers, names, strict=False))


def _arch(facts: dict[str, list[str]]) -> str:
    """What programs there are compiled for: a 64-bit kernel may well carry a 32-bit system."""
    machine, header = _first(facts, "machine"), _first(facts, "shell_elf")
    found = MACHINES.get(machine)
    if header.startswith("7f454c46"):
        found = ELF_ARCHS.get((header[8:10], header[36:40]))
    if found == "aarch64" and _first(facts, "bits") == "32":
        found = "armv7"
    if found is None or machine.startswith(("armv5", "armv6")):
        known = ", ".join(sorted(set(MACHINES.values())))
        raise DeviceError(f"it is a '{clean(machine, 40)}': the runner exists for {known}")
    return found


def _clusters(cores: list[Core]) -> str:
    """`4 x cortex-a55 1800 MHz + 4 x cortex-a76 2400 MHz`: cores of one kind, slowest first."""
    kinds: dict[tuple[int, str], int] = {}
    for core in cores:
        kind = (core.max_khz or 0, core.part or "core")
        kinds[kind] = kinds.get(kind, 0) + 1
    return " + ".join(
        f"{count} x {part}" + (f" {khz // 1000} MHz" if khz else "")
        for (khz, part), count in sorted(kinds.items())
    )


def _frequencies(cores: list[Core]) -> str:
    """Of every core by its number, where any has one."""
    known = {core.number: str(core.khz // 1000) for core in cores if core.khz}
    return ",".join(known.get(number, "?") for number in range(max(known) + 1)) if known else ""


def _features(facts: dict[str, list[str]]) -> str:
    words = _first(facts, "Features").split()
    return ", ".join(ours for theirs, ours in FEATURES.items() if theirs in words)


def _megabytes(text: str) -> str:
    number = text.partition(" ")[0]
    return str(int(number) // 1024) if number.isdecimal() else ""


def _disk_free(text: str) -> str:
    """Of a line of `df -Pk`: device, size, used, available, share, mount point."""
    words = text.split()
    return str(int(words[3]) // 1024) if len(words) > 3 and words[3].isdecimal() else ""


def _temperature(facts: dict[str, list[str]]) -> str:
    """The hottest sensor of a processor, of any kind where none says so, in degrees Celsius."""
    zones = [values[0].split() for key, values in facts.items() if re.fullmatch(r"temperature\d{1,4}", key)]
    known = [(int(zone[0]), zone[-1]) for zone in zones if re.fullmatch(r"-?\d{1,7}", zone[0])]
    of_cpu = [value for value, kind in known if re.search("cpu|soc|core|pkg", kind, re.IGNORECASE)]
    hottest = max(of_cpu or [value for value, _ in known], default=None)
    return "" if hottest is None else f"{hottest / 1000:.1f}"


def _lowest_trip(facts: dict[str, list[str]]) -> str:
    """The temperature at which the kernel begins to slow the device down; absurd ones stand for none."""
    trips = [int(text) for text in facts.get("throttles_at", []) if re.fullmatch(r"\d{5,6}", text)]
    return _scaled(str(min(trips)), 1000) if trips else ""


def _scaled(text: str, unit: int) -> str:
    return f"{int(text) / unit:.1f}" if re.fullmatch(r"-?\d{1,9}", text) else ""


def _power_chip(facts: dict[str, list[str]]) -> str:
    """Milliwatts of a Pi 5: current times voltage of every rail whose chip tells both."""
    rails = dict(line.split(" ", 1) for line in facts.get("rail", []) if " " in line)
    try:
        watts = sum(
            float(rails[name]) * float(rails[f"{name[:-2]}_V"])
            for name in rails
            if name.endswith("_A") and f"{name[:-2]}_V" in rails
        )
    except ValueError:
        return ""
    return f"{1000 * watts:.0f}" if watts else ""


def _battery_power(facts: dict[str, list[str]]) -> str:
    """Milliwatts drawn from a battery that nothing charges. Makers differ in the current's sign."""
    words = _first(facts, "battery_power").split()
    if (
        len(words) != 3
        or words[2] != "Discharging"
        or not all(re.fullmatch(r"-?\d{1,9}", w) for w in words[:2])
    ):
        return ""
    return f"{abs(int(words[0])) * int(words[1]) / 1e9:.0f}"


def _clock_offset(text: str) -> str:
    return str(int(text) - round(time.time())) if re.fullmatch(r"\d{1,12}", text) else ""


def _first(facts: dict[str, list[str]], name: str) -> str:
    return facts[name][0] if name in facts else ""
