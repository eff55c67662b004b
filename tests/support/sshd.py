"""A real OpenSSH server on loopback, with its own keys and configuration, for the user who runs the tests."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = shutil.which("sshd") or "/usr/sbin/sshd"
CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication no
PermitRootLogin prohibit-password
PermitUserEnvironment no
Subsystem sftp internal-sftp
MaxStartups 100
LogLevel VERBOSE
"""


class Sshd:
    """Started by `start`; folder holds its keys and its log; user_key is a private key that it lets in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.user = getpass.getuser()
        self.user_key = new_key(folder / "user_key")
        self.log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.new_host_key()

    @property
    def host_key(self) -> str:
        """As an entry of the registry has it."""
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])

    def new_host_key(self, kind: str = "ed25519") -> None:
        new_key(self.folder / "host_key", kind)

    def start(self, environment: dict[str, str] | None = None) -> None:
        config = self.folder / "config"
        config.write_text(CONFIG.format(port=self.port, folder=self.folder))
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where a privileged sshd locks itself in
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-D", "-e", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | (environment or {}),
            )
        self._wait_for_banner()

    def stop(self) -> None:
        """Ends the server; connections that it has go on, as with any sshd."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def sessions(self) -> list[int]:
        """Process ids of the servers of single connections, with what they started."""
        found, parents = [], [self._process.pid]
        while parents:
            parent = parents.pop()
            children = subprocess.run(
                ["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True
            ).stdout
            parents += [int(word) for word in children.split()]
            found += [int(word) for word in children.split()]
        return found

    def _wait_for_banner(self) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as sock:
                    if sock.recv(4) == b"SSH-":
                        return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"sshd does not start: {self.log.read_text()}")


@contextmanager
def running_sshd(folder: Path) -> Iterator[Sshd]:
    """A running server; skips where none is installed."""
    if not Path(PROGRAM).is_file():
        pytest.skip("needs sshd: apt-get install openssh-server")
    server = Sshd(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def new_key(path: Path, kind: str = "ed25519") -> Path:
    """A fresh key pair at `path` and `path`.pub."""
    path.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(path)], check=True)
    return path


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
