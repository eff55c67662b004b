"""A device for the real adb client: it speaks adb's protocol on loopback and runs what it is told to.

Commands run in a shell of this machine whose small programs are Android's (toybox, where it is installed) or
say what an Android says; programs for aarch64 run under qemu-aarch64. `/data/local/tmp` is a folder of the
test's own.
The protocol: system/core/adb/protocol.txt and SYNC.TXT of the Android Open Source Project.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HEADER = struct.Struct("<6I")  # command, two arguments, length, checksum, complement of the command
PACKET = struct.Struct("<BI")  # of shell protocol 2: id, length
SYNC = struct.Struct("<4sI")
TOKEN, PUBLIC_KEY = 1, 3  # kinds of AUTH
VERSION, MAX_DATA = 0x01000000, 64 * 1024
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
TMP = "/data/local/tmp"
BOOT_ID = "/proc/sys/kernel/random/boot_id"

ENV = """\
#!{python}
# env -i [NAME=VALUE...] PROGRAM [ARGUMENT...], with programs of the device's architecture emulated
import os, sys
words = [word for word in sys.argv[1:] if word != "-i"]
count = next(i for i, word in enumerate(words) if "=" not in word)
program, environment = words[count:], dict(word.split("=", 1) for word in words[:count])
try:
    with open(program[0], "rb") as file:
        header = file.read(20)
    emulated = header[:4] == b"\\x7fELF" and header[18:20] == b"\\xb7\\x00"
    first = ["{qemu}", "-cpu", "{cpu}"] if emulated else []
    os.execvpe((first + program)[0], first + program, environment)
except OSError as error:
    sys.stderr.write(f"env: {{program[0]}}: {{error.strerror}}\\n")
    sys.exit(127)
"""
PROGRAMS = {
    "uname": 'case "$1" in -m) echo aarch64 ;; -s) echo Linux ;; -r) echo 5.10.43-android12 ;; esac',
    "getconf": "echo 64",
    "od": "echo ' 7f 45 4c 46 02 01 01 00 00 00 00 00 00 00 00 00 03 00 b7 00'",
    "getprop": 'case "$1" in ro.build.version.release) echo 12 ;; ro.soc.model) echo SM8350 ;; esac',
    "dumpsys": 'cat "{folder}/dumpsys.$1"',
    "input": 'echo "$*" >>"{folder}/input"',
}


@dataclass
class Behaviour:
    """What a test changes.

    authorized: False asks for a key for ever. answers: False says nothing to a connection. cut_after: the
    connection is closed once so many bytes of file or stream data have come in. upload_fault: what arrives of
    a block of a file. full: files are refused for want of room.
    """

    features: tuple[str, ...] = ("shell_v2", "cmd")
    authorized: bool = True
    answers: bool = True
    cut_after: int | None = None
    upload_fault: Callable[[bytes], bytes] = lambda block: block
    full: bool = False


class AdbDevice:
    """Started by `start`; folder holds its files. serial: what the client calls it by."""

    def __init__(self, folder: Path, cpu: str = "cortex-a76") -> None:
        self.folder = folder
        self.behaviour = Behaviour()
        self.received = 0  # bytes of all files
        self.tmp = folder / "data/local/tmp"
        self.tmp.mkdir(parents=True)
        self.reboot()
        _write_programs(folder / "bin", folder, cpu)
        (folder / "dumpsys.battery").write_text(
            "Current Battery Service state:\n  level: 81\n  temperature: 273\n"
        )
        (folder / "dumpsys.thermalservice").write_text("Thermal Status: 0\n")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[Connection] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def reboot(self) -> None:
        """A new boot id, as the next connection will find it."""
        (self.folder / "boot_id").write_text(os.urandom(16).hex() + "\n")

    def drop(self) -> None:
        """Breaks all connections off."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def close(self) -> None:
        self._listener.close()
        self.drop()

    def _accept(self) -> None:
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            connection = Connection(self, stream)
            self._connections.append(connection)
            threading.Thread(target=connection.serve, daemon=True).start()

    def here(self, text: str) -> str:
        """A command or path of the device as it is on this machine."""
        return text.replace(TMP, str(self.tmp)).replace(BOOT_ID, str(self.folder / "boot_id"))

    def start(self, command: str, **streams: object) -> subprocess.Popen[bytes]:
        """A command line of the device's shell."""
        environment = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        return subprocess.Popen(
            ["sh", "-c", self.here(command)],
            executable=self.folder / "bin/sh",
            cwd=self.folder,
            env=environment,
            start_new_session=True,
            **streams,
        )


@dataclass
class Stream:
    """One service of a connection: what arrives for it, None at its end."""

    remote_id: int
    incoming: queue.Queue = field(default_factory=queue.Queue)
    acknowledged: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    rest: bytes = b""

    def read(self, count: int) -> bytes:
        """Exactly so many bytes. EOFError where the stream ends before."""
        while len(self.rest) < count:
            chunk = self.incoming.get()
            if chunk is None:
                raise EOFError
            self.rest += chunk
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken


class Connection:
    """One transport connection of the adb server."""

    def __init__(self, device: AdbDevice, stream: socket.socket) -> None:
        self._device = device
        self._socket = stream
        self._sending = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._started: list[subprocess.Popen[bytes]] = []
        self._data = 0

    def serve(self) -> None:
        try:
            while True:
                command, first, second, length, _, _ = HEADER.unpack(self._receive(HEADER.size))
                self._handle(command.to_bytes(4, "little"), first, second, self._receive(length))
        except (OSError, EOFError):
            self.close()

    def close(self) -> None:
        """As when a cable is pulled: what it runs sees the end of its input."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for stream in self._streams.values():
            stream.incoming.put(None)
            stream.acknowledged.release()

    def _receive(self, count: int) -> bytes:
        content = bytearray()
        while len(content) < count:
            chunk = self._socket.recv(count - len(content))
            if not chunk:
                raise EOFError
            content += chunk
        return bytes(content)

    def _send(self, command: bytes, first: int, second: int, payload: bytes = b"") -> None:
        number = int.from_bytes(command, "little")
        header = HEADER.pack(number, first, second, len(payload), sum(payload), number ^ 0xFFFFFFFF)
        with self._sending:
            self._socket.sendall(header + payload)

    def _handle(self, command: bytes, first: int, second: int, payload: bytes) -> None:
        behaviour = self._device.behaviour
        if command in (b"CNXN", b"AUTH"):
            if not behaviour.answers:
                return
            if not behaviour.authorized:
                if (command, first) != (b"AUTH", PUBLIC_KEY):  # which a phone shows to its user, and waits
                    self._send(b"AUTH", TOKEN, 0, os.urandom(20))
                return
            banner = (
                f"device::ro.product.name=rig;ro.product.model=Rig;features={','.join(behaviour.features)}"
            )
            self._send(b"CNXN", VERSION, MAX_DATA, banner.encode())
        elif command == b"OPEN":
            self._open(first, payload.rstrip(b"\0").decode())
        elif command == b"WRTE" and (stream := self._streams.get(second)):
            self._data += len(payload)
            if behaviour.cut_after is not None and self._data > behaviour.cut_after:
                behaviour.cut_after = None
                raise EOFError
            stream.incoming.put(payload)
            self._send(b"OKAY", second, first)
        elif command == b"OKAY" and (stream := self._streams.get(second)):
            stream.acknowledged.release()
        elif command == b"CLSE" and (stream := self._streams.pop(second, None)):
            stream.incoming.put(None)
            stream.acknowledged.release()

    def _open(self, remote_id: int, service: str) -> None:
        kind, _, argument = service.partition(":")
        name = kind.partition(",")[0]
        serve = {
            "shell": self._shell_v2 if ",v2" in kind else self._raw,
            "exec": self._raw,
            "sync": self._sync,
        }.get(name)
        if serve is None:
            self._send(b"CLSE", 0, remote_id)
            return
        local_id = len(self._streams) + 1000 * (len(self._started) + 1)
        self._streams[local_id] = stream = Stream(remote_id)
        self._send(b"OKAY", local_id, remote_id)

        def work() -> None:
            try:
                serve(local_id, stream, argument)
                self._send(b"CLSE", local_id, stream.remote_id)
            except (OSError, EOFError):
                pass

        threading.Thread(target=work, daemon=True).start()

    def _write(self, local_id: int, stream: Stream, content: bytes) -> None:
        """To the client, one block at a time, each waiting for its OKAY."""
        for start in range(0, len(content), MAX_DATA - 64):
            self._send(b"WRTE", local_id, stream.remote_id, content[start : start + MAX_DATA - 64])
            stream.acknowledged.acquire()
            if local_id not in self._streams:
                raise EOFError

    def _shell_v2(self, local_id: int, stream: Stream, command: str) -> None:
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = self._device.start(command, **pipes)
        self._started.append(process)
        writing = threading.Lock()

        def forward(pipe, number: int) -> None:
            while chunk := pipe.read1(16 * 1024):
                try:
                    with writing:
                        self._write(local_id, stream, PACKET.pack(number, len(chunk)) + chunk)
                except (OSError, EOFError):
                    continue  # read to the end all the same: the program must not block

        readers = [
            threading.Thread(target=forward, args=(process.stdout, STDOUT), daemon=True),
            threading.Thread(target=forward, args=(process.stderr, STDERR), daemon=True),
        ]
        for reader in readers:
            reader.start()
        threading.Thread(target=self._feed, args=(stream, process), daemon=True).start()
        for reader in readers:
            reader.join()
        status = process.wait()
        shown = status if status >= 0 else 128 - status
        self._write(local_id, stream, PACKET.pack(EXIT, 1) + bytes([shown]))

    def _feed(self, stream: Stream, process: subprocess.Popen[bytes]) -> None:
        """Standard input from the client, to its end."""
        try:
            while True:
                number, length = PACKET.unpack(stream.read(PACKET.size))
                content = stream.read(length)
                if number == CLOSE_STDIN:
                    break
                if number == STDIN:
                    process.stdin.write(content)
                    process.stdin.flush()
        except (EOFError, OSError):
            pass
        with contextlib.suppress(OSError):
            process.stdin.close()

    def _raw(self, local_id: int, stream: Stream, command: str) -> None:
        """shell: and exec: both streams as one, nothing about the exit status."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = self._device.start(command, **pipes)
        self._started.append(process)
        try:
            while chunk := process.stdout.read1(16 * 1024):
                self._write(local_id, stream, chunk)
        finally:
            process.stdout.close()  # a program that goes on writing gets SIGPIPE, as on a device
            process.wait()

    def _sync(self, local_id: int, stream: Stream, _argument: str) -> None:
        serve = {b"STAT": self._stat, b"SEND": self._receive_file, b"RECV": self._send_file}
        while True:
            name, length = SYNC.unpack(stream.read(SYNC.size))
            if name == b"QUIT":
                return
            serve[name](local_id, stream, self._device.here(stream.read(length).decode()))

    def _stat(self, local_id: int, stream: Stream, path: str) -> None:
        try:
            found = os.stat(path)
            values = (found.st_mode, found.st_size, int(found.st_mtime))
        except OSError:
            values = (0, 0, 0)
        self._write(local_id, stream, b"STAT" + struct.pack("<3I", *values))

    def _receive_file(self, local_id: int, stream: Stream, path_and_mode: str) -> None:
        path, _, mode = path_and_mode.rpartition(",")
        failure = "No space left on device" if self._device.behaviour.full else None
        try:
            file = open(path, "wb")  # noqa: SIM115 (closed below, kept open across messages)
        except OSError as error:
            file, failure = open(os.devnull, "wb"), error.strerror  # noqa: SIM115
        with file:
            while True:
                name, length = SYNC.unpack(stream.read(SYNC.size))
                if name == b"DONE":
                    break
                block = stream.read(length)
                self._device.received += length
                file.write(self._device.behaviour.upload_fault(block))
        if failure:
            self._write(local_id, stream, SYNC.pack(b"FAIL", len(failure)) + failure.encode())
            return
        os.chmod(path, int(mode) & 0o777)
        self._write(local_id, stream, SYNC.pack(b"OKAY", 0))

    def _send_file(self, local_id: int, stream: Stream, path: str) -> None:
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            failure = str(error.strerror).encode()
            self._write(local_id, stream, SYNC.pack(b"FAIL", len(failure)) + failure)
            return
        for start in range(0, len(content), 32 * 1024):
            block = content[start : start + 32 * 1024]
            self._write(local_id, stream, SYNC.pack(b"DATA", len(block)) + block)
        self._write(local_id, stream, SYNC.pack(b"DONE", 0))


def _write_programs(folder: Path, device_folder: Path, cpu: str) -> None:
    """Android's small programs: toybox's where it is installed, and those that name the device."""
    folder.mkdir()
    (folder / "sh").symlink_to(shutil.which("mksh") or shutil.which("sh"))
    if toybox := shutil.which("toybox"):
        for name in subprocess.run([toybox], capture_output=True, text=True, check=True).stdout.split():
            if name != "setsid":  # toybox's would start its own env instead of the one below
                (folder / name).symlink_to(toybox)
    qemu = shutil.which("qemu-aarch64") or "qemu-aarch64"
    texts = {name: f"#!/bin/sh\n{text.format(folder=device_folder)}\n" for name, text in PROGRAMS.items()}
    texts["env"] = ENV.format(python=sys.executable, qemu=qemu, cpu=cpu)
    for name, text in texts.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
