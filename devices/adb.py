"""A phone or board reached through the Android Debug Bridge, with the adb client that the user has.

    [pixel]
    transport = "adb"
    serial = "8A1X0ABCD"                 # as `adb devices` shows it, or HOST:PORT of a device on the network
    server_port = 15037                  # of the adb server that is used, and started if there is none
    folder = "/data/local/tmp/quantbench"
    cool_c = 45                          # a trial begins when it is no hotter

The server on adb's own port (5037) belongs to the user's other tools: a client of another version kills it,
and their sessions with it. So the harness has a server of its own, never ends any server, and always says
which device it means. A device on USB can be held by one server at a time: `server_port = 5037` shares it.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult

from devices import Entry
from devices._remote import RemoteDevice
from devices._transport import BEAT_S, Stream
from harness.errors import ConnectionLost, DeadlineError, DeviceError, UsageError
from harness.text import clean

SETTINGS = ("serial", "server_port", "folder", "cool_c")
SERVER_PORT = 15037  # outside 5555 to 5585, where adb looks for emulators
USERS_SERVER_PORT = 5037
FOLDER = "/data/local/tmp/quantbench"  # the one place where the shell user may execute files
ANSWER_S = 30.0  # the longest that the client may take for anything but a command or a file
READY_S = 10.0  # for a device that is offline or not there yet
POLL_S = 0.5
SLOWEST_BYTES_S = 100_000  # of a file's way
REFUSAL = re.compile(r": remote |No such file")  # of the device's file system
ERROR = re.compile(rb"^(?:adb: )?error: (.*)|^adb: (.*)", re.M)


class AdbTransport:
    """Commands and files through the adb client; see devices/_transport.py for what each method promises."""

    def __init__(self, serial: str, server_port: int = SERVER_PORT) -> None:
        self._serial = serial
        self._server_port = server_port
        self._shell_v2 = False

    def connect(self) -> None:
        """Waits a moment for a device that is not ready, and says what keeps it from being so."""
        deadline = time.monotonic() + READY_S
        while (state := self._state()) != "device":
            if state == "unauthorized" or time.monotonic() > deadline:
                raise self._not_ready(state)
            time.sleep(POLL_S)
        self._shell_v2 = "shell_v2" in self._ask("features").stdout.decode("ascii", "replace").split()
        # A sleeping phone parks its cores; how long its screen stays on is left as its owner has set it.
        self.execute("input keyevent KEYCODE_WAKEUP; echo", ANSWER_S)

    def execute(self, command: str, wall_s: float, idle_s: float | None = None) -> tuple[Stream, Stream]:
        with self._start(self._remote_words(command)) as process:
            try:
                stdout, stderr = _read(process, wall_s, idle_s)
            except BaseException:
                process.kill()  # its end closes the command's standard input
                raise
        if not stdout.content() and (found := ERROR.search(stderr.content())):
            raise self._failed(found[1] or found[2])
        return stdout, stderr

    def upload(self, local: Path, remote: str) -> None:
        self._copy(local.stat().st_size, "push", str(local), remote)

    def download(self, remote: str, local: Path) -> None:
        said = self.execute(f"wc -c < {shlex.quote(remote)}", ANSWER_S)[0].content().strip()
        self._copy(int(said) if said.isdigit() else 0, "pull", remote, str(local))

    def close(self) -> None:
        """Nothing is held open; the server stays for the next time, and for others who use it."""

    def _remote_words(self, command: str) -> list[str]:
        """Shell protocol 2 keeps both streams apart and passes our standard input on.

        Without it (before Android 7) the raw service merges the streams and has no standard input: the
        device says the words itself that prove the controller alive, so only the deadline ends a program.
        """
        if self._shell_v2:
            return ["shell", "-T", command]
        alive = f"while :; do echo; sleep {BEAT_S / 5:g}; done"
        return ["exec-out", f"{{ {alive}; }} 2>/dev/null | {{ {command}\n}}"]

    def _copy(self, size: int, *words: str) -> None:
        said = self._ask(*words, timeout=ANSWER_S + size / SLOWEST_BYTES_S)
        if said.returncode:
            found = ERROR.search(said.stdout + b"\n" + said.stderr)
            raise self._failed((found and (found[1] or found[2])) or said.stderr)

    def _state(self) -> str:
        """`device`, `offline`, `unauthorized`, … as adb calls it; `absent` where it knows of none."""
        if ":" in self._serial:  # on the network: a connection that stands is left alone
            self._ask("connect", self._serial, to_device=False)
        listing = self._ask("devices", to_device=False)
        if listing.returncode:
            raise DeviceError(f"adb cannot start its server: {_words(listing.stderr)}")
        for line in listing.stdout.decode("utf-8", "replace").splitlines():
            serial, _, state = line.partition("\t")
            if serial == self._serial:
                return state.strip()
        return "absent"

    def _not_ready(self, state: str) -> DeviceError:
        if state in ("unauthorized", "authorizing"):  # the latter: adb still offers its keys
            return DeviceError(
                "it does not trust this computer: unlock it and accept 'Allow USB debugging' on its screen"
            )
        if state == "offline":
            return ConnectionLost("adb calls it offline: replug it, or turn USB debugging off and on again")
        if state.startswith("no permissions"):
            return DeviceError(
                "adb may not open it: install Debian's android-sdk-platform-tools-common rules"
            )
        if state != "absent":
            return DeviceError(f"it is in the state '{clean(state, 60)}', not 'device': start Android on it")
        if self._server_port != USERS_SERVER_PORT and _listens(USERS_SERVER_PORT):
            return ConnectionLost(
                f"no device '{clean(self._serial)}': the adb server on port {USERS_SERVER_PORT} may hold it: "
                f"write server_port = {USERS_SERVER_PORT} into its entry to share that server"
            )
        return ConnectionLost(
            f"no device '{clean(self._serial)}': plug it in, turn on USB debugging in its developer options, "
            "and compare the serial with `adb devices`"
        )

    def _failed(self, message: bytes) -> DeviceError:
        """Of the client's own error: what the device said about a file, or else a connection that is gone."""
        text = _words(message)
        if REFUSAL.search(text):
            return DeviceError(text)
        return ConnectionLost(f"the connection to {clean(self._serial)} was lost ({text})")

    def _ask(
        self, *words: str, timeout: float = ANSWER_S, to_device: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        with self._start(list(words), to_device=to_device) as process:
            try:
                stdout, stderr = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise ConnectionLost(f"`adb {words[0]}` did not come to an end in {timeout:.0f} s") from None
        return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)

    def _start(self, words: list[str], *, to_device: bool = True) -> subprocess.Popen[bytes]:
        program = shutil.which("adb")
        if program is None:
            raise DeviceError(
                "there is no adb: install it (apt-get install adb, or Android's platform tools)"
            )
        device = ["-s", self._serial] if to_device else []
        argv = [program, "-P", str(self._server_port), *device, *words]
        # ANDROID_SERIAL and its like would contradict what the entry says.
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANDROID_", "ADB_"))}
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(argv, env=kept, start_new_session=True, **pipes)


def register(
    address: SplitResult, options: dict[str, str], _accept: Callable[[str], bool]
) -> dict[str, object]:
    """The settings of an entry for `adb://SERIAL` or `adb://HOST:PORT`; a phone shows its own question."""
    if address.path.strip("/") or address.query or address.fragment or "@" in address.netloc:
        raise UsageError(f"'{address.geturl()}' is not of the form adb://SERIAL: `adb devices` shows serials")
    if options:
        raise UsageError(f"--{min(options)} is for ssh:// addresses")
    return {"serial": address.netloc}


def open(entry: Entry) -> RemoteDevice:
    entry.only(*SETTINGS)
    transport = AdbTransport(entry.text("serial"), entry.number("server_port", SERVER_PORT))
    folder, settings = entry.text("folder", FOLDER), entry.trial_facts()
    device = RemoteDevice(entry.name, "adb", transport, folder, settings=settings)
    asked = device.shell("getprop ro.boot.qemu; getprop ro.kernel.qemu")  # 1 in Android's emulator
    device.emulated = b"1" in asked.stdout.split()
    return device


def _read(process: subprocess.Popen[bytes], wall_s: float, idle_s: float | None) -> tuple[Stream, Stream]:
    """Both streams to their ends, with signs of life the other way."""
    streams = {process.stdout: Stream(), process.stderr: Stream()}
    began = heard = beaten = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for pipe in streams:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(POLL_S):
                if chunk := key.fileobj.read1(1 << 16):
                    streams[key.fileobj].add(chunk)
                    heard = time.monotonic()
                else:
                    selector.unregister(key.fileobj)
            now = time.monotonic()
            if now - began > wall_s:
                raise DeadlineError(f"was still running after {wall_s:g} s")
            if idle_s is not None and now - heard > idle_s:
                raise DeadlineError(f"said nothing for {idle_s:g} s")
            if now - beaten > BEAT_S:
                with contextlib.suppress(OSError):  # it may have ended in this moment
                    process.stdin.write(b"\n")
                    process.stdin.flush()
                beaten = now
    return streams[process.stdout], streams[process.stderr]


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1.0):
            return True
    except OSError:
        return False


def _words(message: bytes) -> str:
    return clean(" ".join(message[-2000:].decode("utf-8", "replace").split()), 200)
