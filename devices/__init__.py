"""Target devices: one file per transport, one narrow protocol, one registry.

A device is a name in `devices.toml` (or the user's own file, merged over it) with a `transport`; the
transport `qemu` is the module `devices/qemu.py` and its `open(entry)` function. Nothing else lists
transports. A module whose name begins with an underscore is none.
"""

from __future__ import annotations

import importlib
import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import platformdirs

from harness.errors import DeviceError, UsageError, unknown_name

FOLDER = Path(__file__).parent
ADDRESSED = ("adb", "ssh")  # transports whose devices have an address, and that can `register` it
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class RunResult:
    """What a command on the device left behind.

    exit_code: None when it died of `signal` (a name such as "SIGSEGV"). stdout and stderr are bytes because
    device output is hostile until parsed; `truncated` says that the byte cap cut it. wall_s: host seconds.
    """

    exit_code: int | None
    stdout: bytes
    stderr: bytes
    signal: str | None = None
    truncated: bool = False
    wall_s: float = 0.0


@dataclass(frozen=True)
class Core:
    """A processor core; None where the device does not say.

    capacity: the kernel's measure of speed, of 1024.
    """

    number: int
    part: str | None
    capacity: int | None
    max_khz: int | None
    khz: int | None
    governor: str | None


@dataclass(frozen=True)
class DeviceInfo:
    """Facts that decide what can run and what may be compared.

    arch: "aarch64", "armv7" or "x86_64" (what `build` compiles for). cpu: the fastest core's name, if known.
    facts: free-form strings for the record, such as kernel, emulator version, governor, temperature_c; what a
    device does not say is absent.
    """

    name: str
    transport: str
    arch: str
    cpu: str
    emulated: bool
    facts: dict[str, str] = field(default_factory=dict)
    cores: tuple[Core, ...] = ()


@dataclass(frozen=True)
class StoredFile:
    """A file in a device's work folder. used_s: when it was last pushed or found by `has`, on any clock."""

    name: str
    size: int
    used_s: int


class Device(Protocol):
    """What every transport offers; everything above it is the same for all of them."""

    def info(self) -> DeviceInfo:
        """Detected, not configured. Raises DeviceError where the device cannot be reached."""

    def state(self) -> dict[str, str]:
        """Those of info's facts that change while it works, such as governor, temperature_c and throttled.

        Cheap enough to be asked from another thread while `run` measures. Empty where nothing is known.
        """

    def hold_governor(self) -> None:
        """Sets the frequency governor `performance` where the user may; leaves it alone where not.

        What was there is written down on the device first: whoever restores it need not be who set it.
        """

    def restore_governor(self) -> None:
        """Puts back the governor that an earlier `hold_governor`, of whatever process, has found."""

    def push(self, local: Path, remote: str) -> None:
        """Copies a file to `remote`, a path relative to the device's work folder, whole or not at all."""

    def pull(self, remote: str, local: Path) -> None:
        """Copies a file from the device's work folder, whole or not at all."""

    def run(
        self,
        argv: list[str],
        timeout: float,
        *,
        env: dict[str, str] | None = None,
        idle_timeout: float | None = None,
    ) -> RunResult:
        """Runs argv in the work folder, its first word a program pushed there, for `timeout` seconds at most.

        After that, or after idle_timeout seconds without output, its process group is killed, and
        DeadlineError raised. A non-zero exit or a signal raises nothing: the caller judges it. The program's
        environment is `env` and nothing else.
        """

    def has(self, remote: str, sha256: str) -> bool:
        """Whether the work folder holds this file with exactly this content."""

    def files(self) -> list[StoredFile]:
        """The files directly in the work folder."""

    def remove(self, names: list[str]) -> None:
        """Removes these files from the work folder; those that are not there are no fault."""

    def free_bytes(self) -> int | None:
        """Free on the disk of the work folder; None where the device does not say."""

    def count_instructions(self, argv: list[str], timeout: float) -> list[int] | None:
        """Guest instructions executed up to each mark that argv sets (runtime/RUNNER.md), then up to its end.

        None where the device cannot count them.
        """

    def close(self) -> None:
        """Gives up the connection; the work folder and its content-addressed files stay."""


@dataclass(frozen=True)
class Entry:
    """One table of a registry file: the device's name, its settings, and where they were written."""

    name: str
    settings: dict[str, object]
    file: Path

    def text(self, key: str, default: str | None = None) -> str:
        """A setting that is a text. UsageError where it is missing without a default, or is no text."""
        value = self.settings.get(key, default)
        if isinstance(value, str) and value:
            return value
        raise self.wrong(f"'{key}' is missing" if value is None else f"'{key}' must be a text, not {value!r}")

    def number(self, key: str, default: int) -> int:
        """A setting that is a whole number above 0. UsageError where it is something else."""
        value = self.settings.get(key, default)
        if type(value) is int and value > 0:
            return value
        raise self.wrong(f"'{key}' must be a whole number above 0, not {value!r}")

    def flag(self, key: str, default: bool) -> bool:
        """A setting that is true or false. UsageError where it is something else."""
        value = self.settings.get(key, default)
        if isinstance(value, bool):
            return value
        raise self.wrong(f"'{key}' must be true or false, not {value!r}")

    def trial_facts(self) -> dict[str, str]:
        """The settings that a trial obeys and records: `cool_c`, degrees Celsius. UsageError as `number`."""
        return {"cool_c": str(self.number("cool_c", 1))} if "cool_c" in self.settings else {}

    def only(self, *known: str) -> None:
        """Raises UsageError for a setting that is neither `transport` nor one of `known`."""
        for key in self.settings:
            if key not in ("transport", *known):
                raise self.wrong(str(unknown_name("setting", key, ["transport", *known])))

    def wrong(self, what: str) -> UsageError:
        return UsageError(f"{self.file}: device '{self.name}': {what}")


def open_device(name: str) -> Device:
    """Opens a device by its name. UsageError: no such name, or a bad entry; DeviceError: it fails."""
    entries = registry()
    if name not in entries:
        raise unknown_name("device", name, entries)
    return open_entry(entries[name])


def open_entry(entry: Entry) -> Device:
    """Opens the device of an entry, which need not be registered. Raises as `open_device`."""
    transport = entry.text("transport")
    known = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
    if transport not in known:
        raise entry.wrong(str(unknown_name("transport", transport, known)))
    return importlib.import_module(f"devices.{transport}").open(entry)


def register(address: str, options: dict[str, str], accept: Callable[[str], bool]) -> dict[str, object]:
    """The settings of a new entry for `TRANSPORT://…`, made by the transport's own `register`.

    options: further settings. accept: told the fingerprint of the device's key, where it has one, says
    whether it is the right one. Raises UsageError, DeviceError.
    """
    parts = urlsplit(address)
    if parts.scheme not in ADDRESSED or not parts.netloc:
        known = " or ".join(f"{name}://…" for name in ADDRESSED)
        raise UsageError(f"'{address}' is not an address of a device: write {known}")
    settings = importlib.import_module(f"devices.{parts.scheme}").register(parts, options, accept)
    return {"transport": parts.scheme} | settings


def names() -> list[str]:
    """Every registered device, sorted."""
    return sorted(registry())


def registry() -> dict[str, Entry]:
    """All entries by name: the built-in ones, and over them those of the user's own file."""
    own = user_file()
    entries = _read(FOLDER / "devices.toml")
    if own.exists() or "BENCH_DEVICES" in os.environ:
        entries |= _read(own)
    return entries


def user_file() -> Path:
    """The user's own registry: `BENCH_DEVICES`, or devices.toml in the platform's configuration folder."""
    return Path(
        os.environ.get("BENCH_DEVICES") or platformdirs.user_config_path("quantbench") / "devices.toml"
    )


def _read(path: Path) -> dict[str, Entry]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot read the device registry: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a valid TOML file: {error}") from error
    for name, settings in tables.items():
        if not isinstance(settings, dict):
            raise UsageError(f"{path}: '{name}' must be a table: write [{name}] and its settings below")
        if not NAME.fullmatch(name):
            raise UsageError(f"{path}: device name '{name}' may hold only letters, digits and . _ -")
    return {name: Entry(name, settings, path) for name, settings in tables.items()}


def checked_remote(remote: str) -> str:
    """`remote` itself where it is a plain relative path that stays in the work folder; DeviceError otherwise.

    Names on a device are the harness's own, so the rule is strict: it also keeps a name from being read as an
    option or by a remote shell.
    """
    if all(NAME.fullmatch(part) for part in remote.split("/")):
        return remote
    raise DeviceError(f"'{remote}' is not a file name inside a device's work folder")
