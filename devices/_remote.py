"""Devices at the other end of a connection: the Device protocol on top of a transport, ssh or adb.

A transport only carries bytes. What must hold on every device is done here, with a script on the device
(remote.sh): a file gets its name after its hash was checked there; a program ends at its deadline, and soon
after the connection is gone; and nothing is believed that does not end with the command's own token, because
a connection that breaks off looks like a program that printed less.
"""

from __future__ import annotations

import contextlib
import secrets
import shlex
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from devices import DeviceInfo, RunResult, StoredFile, checked_remote
from devices._facts import describe, read_facts, read_state
from devices._shell import ATTEMPTS, Damaged, RemoteShell, last_line, line, sha256
from devices._transport import LOST_S, Stream, Transport
from harness.errors import ConnectionLost, DeadlineError, DeviceError
from harness.files import replacing
from harness.text import clean

GRACE_S = 10.0  # after a program's own deadline: to be killed, and for the news to come back
RETURN_S = 90.0  # a device that broke off in a run may take this long to be back, as after a reboot
PAUSE_S = 1.0  # between attempts
CANNOT_START = (126, 127)  # exit status of env(1)


class RemoteDevice(RemoteShell):
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
        self.kind, self.emulated = kind, emulated
        self.session = secrets.token_hex(8)  # begins the token of everything it runs
        self.sent_bytes = 0  # of all files that were pushed whole
        self._settings = settings or {}
        super().__init__(name, transport, folder)

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
                self._shell(line("touch", "-c", path))  # the order of use decides what makes room
            return found

    def files(self) -> list[StoredFile]:
        with self._named():
            names = line("find", self.folder, "-maxdepth", "1", "-type", "f")
            said = self._shell(f"{names} -exec stat -c '%s %Y %n' {{}} +").stdout.decode("utf-8", "replace")
        rows = [row.split(" ", 2) for row in said.splitlines()]
        return [
            StoredFile(row[2].rpartition("/")[2], int(row[0]), int(row[1]))
            for row in rows
            if len(row) == 3 and row[0].isdecimal() and row[1].isdecimal()
        ]

    def remove(self, names: list[str]) -> None:
        with self._named():
            said = self._shell(line("rm", "-f", *map(self._path, names)))
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
            command = line("sh", self._script, *options, *settings, program, *argv[1:])
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

    def reap(self, token: str = "") -> None:
        """Kills what runs from the work folder under tokens with this beginning, whoever started it."""
        with self._named():
            self._ask("reap", token)

    def _pull(self, remote: str, local: Path) -> None:
        digest = self._digest(remote)
        if digest is None:
            raise DeviceError(f"cannot copy {remote} to {local}: No such file on the device")
        with replacing(local) as temporary:
            with self._connection():
                self._transport.download(remote, temporary)
            if sha256(temporary) != digest:
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
        raise DeviceError(f"cannot start '{clean(argv[0])}': {last_line(errors).rpartition(': ')[2]}")
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


def _shown(argv: list[str]) -> str:
    return clean(shlex.join(argv), 200)
