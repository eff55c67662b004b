"""A connection to a device: command lines of its shell, and files that arrive whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import shlex
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devices import checked_remote
from devices._facts import SCRIPT
from devices._transport import Transport
from harness.errors import ConnectionLost, DeadlineError, DeviceError
from harness.text import clean

SHORT_S = 60.0  # for commands that take moments
HASHING_S = 900.0  # of the largest file on the slowest card
ATTEMPTS = 3  # at moving one file
DAMAGED = 9  # exit status of the check of a hash, which no program used there has
DIGEST = 64  # hexadecimal digits of SHA-256


class Damaged(DeviceError):
    """A file is not on the other side what it is on this one."""


@dataclass(frozen=True)
class Said:
    """What a command line of the device's shell wrote, and its exit status."""

    stdout: bytes
    stderr: bytes
    status: int

    def complaint(self) -> str:
        """The last line of its errors, fit to show."""
        return last_line(self.stderr) or f"exit status {self.status}"


class RemoteShell:
    """The shell of a device reached by `transport`, connected when this returns.

    folder: its work folder there, made if missing; relative to where its shell begins, or absolute. Methods
    whose names begin with an underscore raise errors without the device's name.
    """

    def __init__(self, name: str, transport: Transport, folder: str) -> None:
        self.name, self.folder = name, folder
        self._transport = transport
        self._script = f"{folder}/remote-{sha256(SCRIPT)[:16]}.sh"
        self._boot_id = ""
        self._connected = False
        self._connections = 0
        self._connecting = threading.RLock()
        with self._named(), self._connection():
            pass

    def shell(self, command: str, timeout: float = SHORT_S) -> Said:
        """Runs a command line of the device's shell. DeviceError: it did not come to its end."""
        with self._named():
            return self._shell(command, timeout)

    def close(self) -> None:
        self._connected = False
        self._transport.close()

    def free_bytes(self) -> int | None:
        """Free on the disk of the work folder; None where the device does not say."""
        with self._named():
            return self._free_bytes()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except DeviceError as error:
            raise type(error)(f"device '{self.name}': {error}") from error

    def _connect(self) -> None:
        """Connects and makes sure of work folder and script."""
        self._transport.connect()
        self._connected = True
        self._connections += 1
        try:
            said = self._shell(
                f"umask 077; {line('mkdir', '-p', self.folder)} && cat /proc/sys/kernel/random/boot_id && "
                f"{line('sha256sum', self._script)}"
            )
            boot_id, _, digest = said.stdout.decode("ascii", "replace").partition("\n")
            if not boot_id:
                raise DeviceError(f"cannot make the work folder {self.folder}: {said.complaint()}")
            if digest[:DIGEST] != sha256(SCRIPT):
                self._provide_script()
        except DeviceError:
            self._connected = False
            raise
        self._boot_id = boot_id

    def _provide_script(self) -> None:
        for left in reversed(range(ATTEMPTS)):
            try:
                return self._push(SCRIPT, self._script)
            except Damaged:
                if not left:
                    raise
        return None

    @contextlib.contextmanager
    def _connection(self) -> Iterator[None]:
        """Sees to it that there is a connection; one that turns out to be lost is not used again.

        Threads may share a device: the first that finds the connection lost makes the next one.
        """
        with self._connecting:
            if not self._connected:
                self._connect()
            number = self._connections
        try:
            yield
        except ConnectionLost:
            with self._connecting:
                self._connected &= number != self._connections
            raise

    def _shell(self, command: str, timeout: float = SHORT_S) -> Said:
        token = secrets.token_hex(8)
        try:
            with self._connection():
                tokened = f"{command}\nprintf '\\n%s %s\\n' {token} $?"
                stdout, stderr = self._transport.execute(tokened, timeout)
                body, last = stdout.without_last_line()
                words = last.split()
                if len(words) != 2 or words[0] != token.encode() or not words[1].isdigit():
                    raise ConnectionLost(f"the answer to '{clean(command, 80)}' is cut off")
        except DeadlineError as error:
            raise DeadlineError(f"'{clean(command, 80)}' {error}") from error
        return Said(body, stderr.content(), int(words[1]))

    def _ask(self, *words: str) -> Said:
        """Runs a part of remote.sh."""
        said = self._shell(line("sh", self._script, *words))
        if said.status and not said.stdout:
            raise DeviceError(f"its shell cannot run {self._script}: {said.complaint()}")
        return said

    def _path(self, remote: str) -> str:
        return f"{self.folder}/{checked_remote(remote)}"

    def _digest(self, path: str) -> str | None:
        """SHA-256 of a file on the device, in hex; None where there is no such file."""
        said = self._shell(f"sha256sum {line(path)}", HASHING_S)
        if not said.status and (found := re.match(rb"([0-9a-f]{64})\s", said.stdout)):
            return found[1].decode()
        if self._shell(f"[ -e {line(path)} ]").status:
            return None
        raise DeviceError(f"cannot compute the SHA-256 of {path}: {said.complaint()}")

    def _push(self, local: Path, target: str) -> None:
        digest = sha256(local)
        part = f"{target}.{secrets.token_hex(4)}.part"
        mode = f"{local.stat().st_mode & 0o777:o}"
        move = f"{line('chmod', mode, part)} && {line('mv', '-f', part, target)}"
        check = f'set -- $({line("sha256sum", part)}); [ "$1" = {digest} ] || exit {DAMAGED}'
        try:
            if (parent := target.rpartition("/")[0]) != self.folder:
                self._shell(line("mkdir", "-p", parent))
            with self._connection():
                self._transport.upload(local, part)
            moved = self._shell(f"({check}; {move})", HASHING_S)
            if moved.status == DAMAGED:
                raise Damaged(f"{local} did not arrive as it was sent (SHA-256 differs): check its storage")
            if moved.status:
                raise DeviceError(f"cannot copy {local} to {target}: {moved.complaint()}")
        except DeviceError as error:
            raise self._push_failed(local, part, error) from error

    def _push_failed(self, local: Path, part: str, error: DeviceError) -> DeviceError:
        """Removes what arrived; the error to raise, which is another where the disk is full."""
        with contextlib.suppress(DeviceError):
            self._shell(line("rm", "-f", part))
            free, needed = self._free_bytes(), local.stat().st_size
            if not isinstance(error, ConnectionLost) and free is not None and free < needed:
                what = f"{local.name} takes {needed:,} bytes and {free:,} are free"
                return DeviceError(f"its disk is full: {what}: remove something there")
        return error

    def _free_bytes(self) -> int | None:
        words = self._shell(f"{line('df', '-Pk', self.folder)} | tail -n 1").stdout.split()
        return int(words[3]) * 1024 if len(words) > 3 and words[3].isdigit() else None


def line(*words: str) -> str:
    """The words as a command line of a POSIX shell."""
    if any("\0" in word for word in words):
        raise DeviceError(f"cannot start '{clean(words[0])}': embedded null byte")
    return shlex.join(words)


def last_line(text: bytes) -> str:
    lines = text[-2000:].decode("utf-8", "replace").strip().splitlines()
    return clean(lines[-1]) if lines else ""


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
