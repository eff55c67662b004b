"""A Linux guest in QEMU: started, waited for, controlled, and gone with the process that started it."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from devices._guest_image import Image
from harness.errors import DeviceError
from harness.text import clean

BOOT_S = 120.0  # takes 3 s; a busy machine may take long
QMP_S = 20.0
# Ends QEMU when its standard input is closed, as it is when whoever holds it dies, in whatever way.
KEEPER = '"$@" </dev/null & guest=$!; read -r _; kill -KILL $guest; wait'


@dataclass(frozen=True)
class Machine:
    """What is emulated. icount: the clock counts instructions. snapshot: the disk forgets what is written."""

    cpu: str
    cores: int = 1
    memory_mb: int = 1024
    icount: bool = False
    snapshot: bool = True
    fake_pi: bool = False


class Guest:
    """A running guest. port: of its SSH server, on this machine's loopback."""

    def __init__(self, image: Image, machine: Machine) -> None:
        """Boots it. Raises DeviceError where it does not come up."""
        self._work = tempfile.TemporaryDirectory(prefix="quantbench-guest-")
        self._folder = Path(self._work.name)
        self._errors = (self._folder / "errors").open("wb")
        self._process = subprocess.Popen(
            ["sh", "-c", KEEPER, "sh", *_command(image, machine, self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
        )
        try:
            self._qmp = self._connect(time.monotonic() + QMP_S)
            self.port = self._find_port()
            self._wait_for_banner(time.monotonic() + BOOT_S)
        except BaseException:
            self.close()
            raise

    def command(self, name: str, /, **arguments: object) -> object:
        """Sends a QMP command and returns its answer. Raises DeviceError where QEMU refuses it or is gone."""
        request = {"execute": name} | ({"arguments": arguments} if arguments else {})
        try:
            self._qmp.write(json.dumps(request).encode() + b"\n")
            self._qmp.flush()
            while line := self._qmp.readline():
                answer = json.loads(line)
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    raise DeviceError(f"QEMU refuses '{name}': {clean(str(answer['error'].get('desc')))}")
        except (OSError, ValueError) as error:
            raise DeviceError(f"QEMU does not answer '{name}': {error}") from error
        raise DeviceError(f"QEMU ended at '{name}'")

    def close(self) -> None:
        """Ends it at once: nothing that it was about to write is waited for."""
        self._process.stdin.close()
        self._process.wait()
        with contextlib.suppress(AttributeError, OSError):
            self._qmp.close()
        self._errors.close()
        self._work.cleanup()

    def _connect(self, deadline: float):
        """QEMU's control socket, ready for commands."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(QMP_S)
        while True:
            try:
                sock.connect(str(self._folder / "qmp"))
                break
            except OSError:
                if time.monotonic() > deadline or (self._folder / "errors").stat().st_size:
                    sock.close()
                    raise self._failed("QEMU does not start") from None
                time.sleep(0.02)
        with sock:
            self._qmp = sock.makefile("rwb")
        self._qmp.readline()
        self.command("qmp_capabilities")
        return self._qmp

    def _find_port(self) -> int:
        said = str(self.command("human-monitor-command", **{"command-line": "info usernet"}))
        found = re.search(r"HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)", said)
        if not found:
            raise self._failed("QEMU does not say its port")
        return int(found[1])

    def _wait_for_banner(self, deadline: float) -> None:
        # The connection alone says nothing: QEMU takes it before anybody listens inside.
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as sock:
                    if sock.recv(4) == b"SSH-":
                        return
            except ConnectionRefusedError:
                raise self._failed("it ended while it booted") from None
            except OSError:
                pass  # nobody listens inside yet
            time.sleep(0.05)
        raise self._failed(f"it did not boot within {BOOT_S:g} s")

    def _failed(self, what: str) -> DeviceError:
        said = ""
        for name in ("errors", "console"):
            with contextlib.suppress(OSError):
                said += (self._folder / name).read_text(errors="replace")
        last = " | ".join(said.strip().splitlines()[-3:])
        return DeviceError(f"{what}: {clean(last) or 'it says nothing'}")


def version() -> str:
    """Of QEMU, `7.2.0`."""
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"version (\d+\.\d+(?:\.\d+)?)", said)
    return found[1] if found else "unknown"


PROGRAM = "qemu-system-aarch64"


def _command(image: Image, machine: Machine, folder: Path) -> list[str]:
    """QEMU's command line."""
    console = "console=ttyAMA0 quiet mitigations=off nokaslr"
    disk = str(image.disk).replace(",", ",,")
    options = {
        "-M": "virt",
        "-cpu": machine.cpu,
        "-smp": str(machine.cores),
        "-m": str(machine.memory_mb),
        "-accel": "tcg,thread=single" if machine.icount else "tcg,thread=multi",
        "-display": "none",
        "-kernel": str(image.kernel),
        "-initrd": str(image.initrd),
        "-append": console + (" virtual_pi.fake" if machine.fake_pi else ""),
        "-drive": f"if=none,id=disk,format=raw,file={disk},snapshot={'on' if machine.snapshot else 'off'}",
        "-netdev": "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22",
        "-serial": f"file:{folder / 'console'}",
        "-qmp": f"unix:{folder / 'qmp'},server=on,wait=off",
    }
    command = [shutil.which(PROGRAM) or PROGRAM, "-nodefaults"]
    command += [word for option in options.items() for word in option]
    command += [
        "-device",
        "virtio-blk-pci,drive=disk,romfile=",
        "-device",
        "virtio-net-pci,netdev=net,romfile=",
    ]
    return command + (["-icount", "shift=0"] if machine.icount else [])
