"""Devices at the other end of a connection: the Device protocol on top of a transport, ssh or adb.

A transport only carries bytes. What must hold on every device is done here, with a script on the device
(remote.sh): a file gets its name after its hash was checked there; a program ends at its deadline, and soon
after the connection is gone; and nothing is believed that does not end with the command's own token, because
a connection that breaks off looks like a program that printed less.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from devices import DeviceInfo, RunResult, StoredFile, checked_remote
from devices._facts import SCRIPT, describe, read_facts, read_state
from devices._transport import LOST_S, Stream, Transport
from harness.errors import ConnectionLost, DeadlineError, DeviceError
from harness.files import replacing
from harness.text import clean

SHORT_S = 60.0  # for commands that take moments
HASHING_S = 900.0  # of the largest file on the slowest card
GRACE_S = 10.0  # after a program's own deadline: to be killed, and for the news to come back
ATTEMPTS = 3  # at moving one file
RETURN_S = 90.0  # a device that broke off in a run may take this long to be back, as after a reboot
PAUSE_S = 1.0  # between attempts
DAMAGED = 9  # exit status of the check of a hash, which no program used there has
DIGEST = 64  # hexadecimal digits of SHA-256
CANNOT_START = (126, 127)  # exit status of env(1)


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
        return _last_line(self.stderr) or f"exit status {self.status}"


class RemoteDevice:
    """A device reached by `transport`, connected when this returns. kind: the transport's name.

    folder: its work folder there, made if missing; relative to where its shell begins, or absolute.
    settings: of its entry, those that are facts of a trial.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        transport: Transport,
        folder: str,
        *,
        emulated: bool = False,
        settings: dict[str, str] | None = None,
    ) -> None:
        self.name, self.kind, self.folder, self.emulated = name, kind, folder, emulated
        self._settings = settings or {}
        self.session = secrets.token_hex(8)  # begins the token of everything it runs
        self.sent_bytes = 0  # of all files that were pushed whole
        self._transport = transport
        self._script = f"{folder}/remote-{_sha256(SCRIPT)[:16]}.sh"
        self._boot_id = ""
        self._connected = False
        self._connections = 0
        self._connecting = threading.RLock()
        with self._named(), self._connection():
            pass

    def info(self) -> DeviceInfo:
        with self._named():
            facts = read_facts(self._ask("facts").stdout)
            info = describe(self.name, self.kind, facts, emulated=self.emulated)
            return replace(info, facts=info.facts | self._settings)

    def state(self) -> dict[str, str]:
        with self._named():
            return read_state(read_facts(self._ask("state").stdout)) | self._settings

    def hold_governor(self) -> None:
        with self._named():
            self._ask("hold_governor")

    def restore_governor(self) -> None:
        with self._named():
            self._ask("restore_governor")

    def has(self, remote: str, sha256: str) -> bool:
        with self._named():
            path = self._path(remote)
            found = self._digest(path) == sha256
            if found:
                self._shell(_line("touch", "-c", path))  # the order of use decides what makes room
            return found

    def files(self) -> list[StoredFile]:
        with self._named():
            names = _line("find", self.folder, "-maxdepth", "1", "-type", "f")
            said = self._shell(f"{names} -exec stat -c '%s %Y %n' {{}} +").stdout.decode("utf-8", "replace")
        lines = [line.split(" ", 2) for line in said.splitlines()]
        return [
            StoredFile(line[2].rpartition("/")[2], int(line[0]), int(line[1]))
            for line in lines
            if len(line) == 3 and line[0].isdecimal() and line[1].isdecimal()
        ]

    def remove(self, names: list[str]) -> None:
        with self._named():
            said = self._shell(_line("rm", "-f", *map(self._path, names)))
            if said.status:
                raise DeviceError(f"cannot remove its files: {said.complaint()}")

    def push(self, local: Path, remote: str) -> None:
        """Uploads to a temporary name, compares the hashes, renames; tries again what a fault interrupted."""
        with self._named():
            self._again(lambda: self._push(local, self._path(remote)))
        self.sent_bytes += local.stat().st_size

    def pull(self, remote: str, local: Path) -> None:
        with self._named():
            self._again(lambda: self._pull(self._path(remote), local))

    def run(
        self,
        argv: list[str],
        timeout: float,
        *,
        env: dict[str, str] | None = None,
        idle_timeout: float | None = None,
    ) -> RunResult:
        """As the protocol says. Besides `env` the program sees QB_RUN, by which it is found and killed."""
        token = f"{self.session}-{secrets.token_hex(4)}"
        settings = [f"{key}={value}" for key, value in (env or {}).items()]
        options = ["run", token, str(-int(-timeout // 1)), str(LOST_S)]
        with self._named():
            program = f"./{checked_remote(argv[0])}"
            command = _line("sh", self._script, *options, *settings, program, *argv[1:])
            boot_id, start = self._boot_id, time.monotonic()
            try:
                with self._connection():
                    streams = self._transport.execute(command, timeout + GRACE_S, idle_timeout)
                    return _result(token, argv, timeout, *streams, time.monotonic() - start)
            except ConnectionLost as error:
                raise self._after_loss(token, argv, boot_id, error) from error
            except DeadlineError as error:
                with contextlib.suppress(DeviceError):
                    self._ask("reap", token)
                raise DeadlineError(f"'{_shown(argv)}' {error} and was killed") from error

    def count_instructions(self, argv: list[str], timeout: float) -> None:
        return None  # hardware counters are the runner's own

    def close(self) -> None:
        self._connected = False
        self._transport.close()

    def reap(self, token: str = "") -> None:
        """Kills what runs from the work folder under tokens with this beginning, whoever started it."""
        with self._named():
            self._ask("reap", token)

    def shell(self, command: str, timeout: float = SHORT_S) -> Said:
        """Runs a command line of the device's shell. DeviceError: it did not come to its end."""
        with self._named():
            return self._shell(command, timeout)

    def free_bytes(self) -> int | None:
        """Free on the disk of the work folder; None where the device does not say."""
        with self._named():
            return self._free_bytes()

    # What follows raises errors without the device's name.

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
                f"umask 077; {_line('mkdir', '-p', self.folder)} && cat /proc/sys/kernel/random/boot_id && "
                f"{_line('sha256sum', self._script)}"
            )
            boot_id, _, digest = said.stdout.decode("ascii", "replace").partition("\n")
            if not boot_id:
                raise DeviceError(f"cannot make the work folder {self.folder}: {said.complaint()}")
            if digest[:DIGEST] != _sha256(SCRIPT):
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
                line = f"{command}\nprintf '\\n%s %s\\n' {token} $?"
                stdout, stderr = self._transport.execute(line, timeout)
                body, last = stdout.without_last_line()
                words = last.split()
                if len(words) != 2 or words[0] != token.encode() or not words[1].isdigit():
                    raise ConnectionLost(f"the answer to '{clean(command, 80)}' is cut off")
        except DeadlineError as error:
            raise DeadlineError(f"'{clean(command, 80)}' {error}") from error
        return Said(body, stderr.content(), int(words[1]))

    def _ask(self, *words: str) -> Said:
        """Runs a part of remote.sh."""
        said = self._shell(_line("sh", self._script, *words))
        if said.status and not said.stdout:
            raise DeviceError(f"its shell cannot run {self._script}: {said.complaint()}")
        return said

    def _path(self, remote: str) -> str:
        return f"{self.folder}/{checked_remote(remote)}"

    def _digest(self, path: str) -> str | None:
        """SHA-256 of a file on the device, in hex; None where there is no such file."""
        said = self._shell(f"sha256sum {_line(path)}", HASHING_S)
        if not said.status and (found := re.match(rb"([0-9a-f]{64})\s", said.stdout)):
            return found[1].decode()
        if self._shell(f"[ -e {_line(path)} ]").status:
            return None
        raise DeviceError(f"cannot compute the SHA-256 of {path}: {said.complaint()}")

    def _push(self, local: Path, target: str) -> None:
        digest = _sha256(local)
        part = f"{target}.{secrets.token_hex(4)}.part"
        mode = f"{local.stat().st_mode & 0o777:o}"
        move = f"{_line('chmod', mode, part)} && {_line('mv', '-f', part, target)}"
        check = f'set -- $({_line("sha256sum", part)}); [ "$1" = {digest} ] || exit {DAMAGED}'
        try:
            if (parent := target.rpartition("/")[0]) != self.folder:
                self._shell(_line("mkdir", "-p", parent))
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
            self._shell(_line("rm", "-f", part))
            free, needed = self._free_bytes(), local.stat().st_size
            if not isinstance(error, ConnectionLost) and free is not None and free < needed:
                what = f"{local.name} takes {needed:,} bytes and {free:,} are free"
                return DeviceError(f"its disk is full: {what}: remove something there")
        return error

    def _pull(self, remote: str, local: Path) -> None:
        digest = self._digest(remote)
        if digest is None:
            raise DeviceError(f"cannot copy {remote} to {local}: No such file on the device")
        with replacing(local) as temporary:
            with self._connection():
                self._transport.download(remote, temporary)
            if _sha256(temporary) != digest:
                raise Damaged(f"{remote} did not arrive as it was sent (SHA-256 differs)")

    def _again(self, attempt: Callable[[], None]) -> None:
        """Calls `attempt` until it comes through, a few times at most, as long as another time may help."""
        for number in range(1, ATTEMPTS + 1):
            try:
                attempt()
                break
            except OSError as error:
                raise DeviceError(f"cannot copy {error.filename}: {error.strerror}") from error
            except (ConnectionLost, Damaged) as error:
                if number == ATTEMPTS:
                    raise type(error)(f"{error} (tried {ATTEMPTS} times)") from error
                time.sleep(PAUSE_S)

    def _after_loss(self, token: str, argv: list[str], boot_id: str, error: ConnectionLost) -> DeviceError:
        """Waits for the device to be back, kills what still runs there, and says what happened to the run."""
        deadline = time.monotonic() + RETURN_S
        while time.monotonic() < deadline:
            try:
                self._ask("reap", token)
            except DeviceError:
                time.sleep(PAUSE_S)
                continue
            if self._boot_id != boot_id:
                return DeviceError(f"the device rebooted while it ran '{_shown(argv)}'")
            return ConnectionLost(f"{error} while it ran '{_shown(argv)}'; the program was killed")
        return ConnectionLost(f"{error} while it ran '{_shown(argv)}', and it did not come back")

    def _free_bytes(self) -> int | None:
        words = self._shell(f"{_line('df', '-Pk', self.folder)} | tail -n 1").stdout.split()
        return int(words[3]) * 1024 if len(words) > 3 and words[3].isdigit() else None


def _result(
    token: str, argv: list[str], timeout: float, stdout: Stream, stderr: Stream, wall_s: float
) -> RunResult:
    """What `remote.sh run` said. ConnectionLost where it did not come to its last line."""
    body, last = stdout.without_last_line()
    errors, truncated = stderr.content(), stdout.truncated or stderr.truncated
    match last.decode("ascii", "replace").split():
        case [found, "deadline"] if found == token:
            raise DeadlineError(f"was still running after {timeout:g} s")
        case [found, "exit", status, *kills] if found == token and status.isdigit():
            code = int(status)
        case _:
            raise ConnectionLost("the connection was lost")
    if code in CANNOT_START:
        raise DeviceError(f"cannot start '{clean(argv[0])}': {_last_line(errors).rpartition(': ')[2]}")
    died = _signal_name(code - 128) if code > 128 else None
    if (
        died == "SIGKILL" and len(set(kills)) == 2
    ):  # the kernel's count of processes that it killed for memory
        errors += b"\nthe device was out of memory"
    return RunResult(None if died else code, body, errors, died, truncated, wall_s)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _line(*words: str) -> str:
    """The words as a command line of a POSIX shell."""
    if any("\0" in word for word in words):
        raise DeviceError(f"cannot start '{clean(words[0])}': embedded null byte")
    return shlex.join(words)


def _shown(argv: list[str]) -> str:
    return clean(shlex.join(argv), 200)


def _last_line(text: bytes) -> str:
    lines = text[-2000:].decode("utf-8", "replace").strip().splitlines()
    return clean(lines[-1]) if lines else ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
