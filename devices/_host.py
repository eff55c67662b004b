"""What devices on this machine have in common: a work folder below the cache, and processes started here."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from pathlib import Path

from devices import RunResult, StoredFile, _process, checked_remote
from harness import cache
from harness.errors import DeviceError
from harness.files import replacing


class HostDevice:
    """Everything of the Device protocol but `info` and `count_instructions`.

    emulator: what stands before every program on the command line. Programs get no environment but the one
    that is asked for: what the user's shell holds could change a result.
    """

    def __init__(self, name: str, emulator: tuple[str, ...] = ()) -> None:
        self.name = name
        self.emulator = emulator
        self.folder = cache.folder("devices", name)

    def state(self) -> dict[str, str]:
        return {}

    def hold_governor(self) -> None:
        pass  # an emulator's clock is not this machine's

    def restore_governor(self) -> None:
        pass

    def push(self, local: Path, remote: str) -> None:
        self._copy(local, self._inside(remote))

    def pull(self, remote: str, local: Path) -> None:
        self._copy(self._inside(remote), local)

    def has(self, remote: str, sha256: str) -> bool:
        path = self._inside(remote)
        try:
            with path.open("rb") as file:
                os.utime(path)
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._failed(f"cannot read {path}: {error.strerror}") from error

    def files(self) -> list[StoredFile]:
        found = [(path, path.stat()) for path in self.folder.iterdir() if path.is_file()]
        return [StoredFile(path.name, stat.st_size, int(stat.st_mtime)) for path, stat in found]

    def remove(self, names: list[str]) -> None:
        for name in names:
            self._inside(name).unlink(missing_ok=True)

    def free_bytes(self) -> int | None:
        return shutil.disk_usage(self.folder).free

    def run(
        self,
        argv: list[str],
        timeout: float,
        *,
        env: dict[str, str] | None = None,
        idle_timeout: float | None = None,
    ) -> RunResult:
        return self._run(self.emulator, argv, timeout, env or {}, idle_timeout)

    def close(self) -> None:
        pass  # nothing is held open

    def _run(
        self,
        emulator: tuple[str, ...],
        argv: list[str],
        timeout: float,
        env: dict[str, str],
        idle_timeout: float | None = None,
    ) -> RunResult:
        """Runs a pushed program under `emulator`. Its own name stays relative, wherever the folder is."""
        program = self._inside(argv[0])
        if not program.is_file():
            raise self._failed(f"'{argv[0]}' was never pushed to it")
        executable = None if emulator else program
        try:
            return _process.run(
                [*emulator, *argv],
                cwd=self.folder,
                env=env,
                timeout=timeout,
                idle_timeout=idle_timeout,
                executable=executable,
            )
        except DeviceError as error:
            raise type(error)(f"device '{self.name}': {error}") from error

    def _inside(self, remote: str) -> Path:
        path = (self.folder / checked_remote(remote)).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise self._failed(f"'{remote}' leads out of the work folder through a link")
        return path

    def _copy(self, source: Path, target: Path) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as temporary:
                shutil.copy(source, temporary)  # with its mode: a program stays executable
        except OSError as error:
            raise self._failed(f"cannot copy {source} to {target}: {error.strerror}") from error

    def _failed(self, what: str) -> DeviceError:
        return DeviceError(f"device '{self.name}': {what}")


def host_facts() -> dict[str, str]:
    """Free-form facts of this machine for the record."""
    facts = {"kernel": f"{platform.system()} {platform.release()}", "host_cpu": cpu_name()}
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor.is_file():
        facts["governor"] = governor.read_text().strip()
    return facts


def cpu_name() -> str:
    """The processor's name as the kernel tells it: "model name", on ARM its implementer and part numbers."""
    lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    fields = {key.strip(): value.strip() for key, value in pairs}
    if "CPU part" in fields:
        return f"implementer {fields.get('CPU implementer', '?')} part {fields['CPU part']}"
    return fields.get("model name", platform.machine())
