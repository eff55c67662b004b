"""A transport whose device is a folder of this machine and a POSIX shell of choice."""

from __future__ import annotations

import selectors
import shutil
import subprocess
import time
from pathlib import Path

from devices._transport import Stream
from harness.errors import DeadlineError, DeviceError


class ShellTransport:
    """shell: the argument list of a shell. upload_fault(content): what arrives of an uploaded file."""

    def __init__(self, folder: Path, shell: tuple[str, ...] = ("sh",)) -> None:
        self.folder, self.shell = folder, shell
        self.upload_fault = lambda content: content
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
        pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
        process = subprocess.Popen([*self.shell, "-c", command], cwd=self.folder, **pipes)
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
