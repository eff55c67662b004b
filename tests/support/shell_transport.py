"""A transport whose device is a folder of this machine, with a system's shell and its small programs."""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from devices._remote import RemoteDevice
from devices._transport import Stream
from harness.errors import DeadlineError, DeviceError

# What `sh` is, and which program stands for all the small ones it knows, before those of this machine.
SYSTEMS = {"debian": ("dash", None), "busybox": ("busybox", "busybox"), "android": ("mksh", "toybox")}


class ShellTransport:
    """system: one of SYSTEMS. upload_fault(content): what arrives of an uploaded file."""

    def __init__(self, folder: Path, system: str = "debian") -> None:
        self.folder = folder
        self.programs = _link_programs(folder / "bin", *SYSTEMS[system])
        self.upload_fault = lambda content: content
        self.environment: dict[str, str] = {}  # of the device's shell, besides PATH
        self.commands: list[str] = []
        self.started: list[subprocess.Popen[bytes]] = []

    def connect(self) -> None:
        pass

    def execute(self, command: str, wall_s: float, idle_s: float | None = None) -> tuple[Stream, Stream]:
        self.commands.append(command)
        process = self.start(command)
        streams = {process.stdout: Stream(), process.stderr: Stream()}
        deadline = time.monotonic() + wall_s
        with process, selectors.DefaultSelector() as selector:
            for pipe in streams:
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                if time.monotonic() > deadline:
                    process.stdin.close()
                    raise DeadlineError(f"was still running after {wall_s:g} s")
                for key, _ in selector.select(0.1):
                    if chunk := key.fileobj.read1(1 << 16):
                        streams[key.fileobj].add(chunk)
                    else:
                        selector.unregister(key.fileobj)
            process.stdin.close()
        return streams[process.stdout], streams[process.stderr]

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """A command line of the shell, with pipes as its streams."""
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        path = f"{self.programs}:{os.environ['PATH']}"
        process = subprocess.Popen(
            ["sh", "-c", command],
            executable=self.programs / "sh",
            cwd=self.folder,
            env={"PATH": path} | self.environment,
            **pipes,
        )
        self.started.append(process)
        return process

    def upload(self, local: Path, remote: str) -> None:
        try:
            (self.folder / remote).write_bytes(self.upload_fault(local.read_bytes()))
        except OSError as error:
            if error.filename == str(local):
                raise
            raise DeviceError(f"cannot copy {remote}: {error.strerror}") from error

    def download(self, remote: str, local: Path) -> None:
        shutil.copy(self.folder / remote, local)

    def close(self) -> None:
        pass


Remote = tuple[RemoteDevice, ShellTransport]  # a device, and its transport


def _link_programs(folder: Path, shell: str, many: str | None) -> Path:
    """A folder with links as such a system has them; skips where this machine lacks the programs."""
    for program in (shell, many):
        if program and not shutil.which(program):
            pytest.skip(f"needs {program}: apt-get install busybox mksh toybox")
    folder.mkdir(exist_ok=True)
    names = []
    if many:
        listing = [many, "--list"] if many == "busybox" else [many]
        names = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
        for name in names:
            (folder / name).symlink_to(shutil.which(many))
    (folder / "sh").unlink(missing_ok=True)
    (folder / "sh").symlink_to(shutil.which(shell))
    return folder
