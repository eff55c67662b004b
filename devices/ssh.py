"""A device reached over SSH.

    [pi4]
    transport = "ssh"
    host = "raspberrypi.local"
    user = "pi"                          # else the user's own name
    host_key = "ssh-ed25519 AAAA…"       # the only one accepted; `bench devices add` asks and writes it
    port = 22
    key = "~/.ssh/id_pi"                 # else what the agent and ~/.ssh have
    jump = "gateway"                     # another entry, through which this one is reached
    folder = ".cache/quantbench"         # for files on the device
    cool_c = 55                          # a trial begins when it is no hotter

Passwords are neither asked for nor kept. A server that proves another host key than `host_key` is left before
anything about the user is sent.
"""

from __future__ import annotations

import contextlib
import getpass
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult

import paramiko

import devices
from devices import Entry, _ssh_keys
from devices._remote import RemoteDevice
from devices._transport import BEAT_S, Stream
from harness.errors import ConnectionLost, DeadlineError, DeviceError, UsageError
from harness.text import clean

SETTINGS = ("host", "user", "port", "key", "jump", "host_key", "folder", "cool_c")
FOLDER = ".cache/quantbench"
PORT = 22
CONNECT_S = 15.0  # for each step of connecting
KEEPALIVE_S = 5.0  # between two questions to the other side
DEAD_S = 15.0  # without an answer the connection is given up: TCP itself would wait for hours
LOOK_S = 0.5  # between two looks at what arrives without data
LEFT_OPEN_S = 1.0  # streams that some process holds open after the command's end are read for this long

Accept = Callable[[str], bool]

logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # its errors arrive as exceptions


@dataclass(frozen=True)
class Address:
    """Where a device is and who one is there. jump: through which server."""

    host: str
    user: str
    port: int = PORT
    key: str | None = None
    host_key: str | None = None
    jump: Address | None = None

    def __str__(self) -> str:
        return f"{self.user}@{self.host}" + (f":{self.port}" if self.port != PORT else "")


class SshTransport:
    """Commands and files over one SSH connection; see devices/_transport.py for what each method promises."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._jump = SshTransport(address.jump) if address.jump else None
        self._client: paramiko.SSHClient | None = None
        self._sftp: paramiko.SFTPClient | None = None

    def connect(self) -> None:
        self.close()
        at = self._address
        if at.host_key is None:
            raise DeviceError(
                f"the host key of {at} is not known: `bench devices add NAME ssh://{at}` shows and pins it"
            )
        pinned = _ssh_keys.parse(at.host_key)
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        name = at.host if at.port == PORT else f"[{at.host}]:{at.port}"
        client.get_host_keys().add(name, pinned.get_name(), pinned)
        line = _Line(self.socket())
        try:
            with _connecting(at, pinned):
                client.connect(
                    at.host,
                    at.port,
                    at.user,
                    key_filename=at.key and str(Path(at.key).expanduser()),
                    look_for_keys=at.key is None,
                    sock=line,
                    banner_timeout=CONNECT_S,
                    auth_timeout=CONNECT_S,
                    channel_timeout=CONNECT_S,
                )
        except DeviceError:
            client.close()
            raise
        self._client = client
        _watch(client.get_transport(), line)

    def socket(self) -> socket.socket | paramiko.Channel:
        """A stream to the server, through the jump host if there is one."""
        at = self._address
        try:
            if self._jump is None:
                return socket.create_connection((at.host, at.port), CONNECT_S)
            self._jump.connect()
            return self._jump.tunnel(at.host, at.port)
        except socket.gaierror as error:
            raise DeviceError(f"no host is called '{clean(at.host)}': {error.strerror}") from error
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise ConnectionLost(f"cannot connect to {at}: {_said(error)}") from error

    def tunnel(self, host: str, port: int) -> paramiko.Channel:
        transport = self._client.get_transport()
        return transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=CONNECT_S)

    def execute(self, command: str, wall_s: float, idle_s: float | None = None) -> tuple[Stream, Stream]:
        with self._lost():
            channel = self._connected().get_transport().open_session(timeout=CONNECT_S)
            with contextlib.closing(channel):
                channel.exec_command(command.encode("utf-8", "surrogateescape"))
                return _read(channel, wall_s, idle_s)

    def upload(self, local: Path, remote: str) -> None:
        with local.open("rb") as file, self._lost(), self._writing(remote):
            self._files().putfo(file, remote, confirm=False)

    def download(self, remote: str, local: Path) -> None:
        with local.open("wb") as file, self._lost(), self._writing(remote):
            self._files().getfo(remote, file)

    def close(self) -> None:
        if self._client is not None:
            with contextlib.suppress(EOFError, OSError, paramiko.SSHException):  # of a lost jump host
                self._client.close()
        if self._jump is not None:
            self._jump.close()
        self._client = self._sftp = None

    def _connected(self) -> paramiko.SSHClient:
        if self._client is None:
            raise ConnectionLost("it is not connected")
        return self._client

    def _files(self) -> paramiko.SFTPClient:
        if self._sftp is None:
            self._sftp = self._connected().open_sftp()
        return self._sftp

    @contextlib.contextmanager
    def _lost(self) -> Iterator[None]:
        """Errors of a connection that is gone."""
        try:
            yield
        except (EOFError, paramiko.SSHException, OSError) as error:
            raise ConnectionLost(f"the connection to {self._address} was lost ({_said(error)})") from error

    @contextlib.contextmanager
    def _writing(self, remote: str) -> Iterator[None]:
        """Errors of the server's file system, on a connection that still stands."""
        try:
            yield
        except OSError as error:
            if self._client and self._client.get_transport().is_active() and "closed" not in str(error):
                raise DeviceError(f"cannot copy {remote}: {_said(error)}") from error
            raise


def register(address: SplitResult, options: dict[str, str], accept: Accept) -> dict[str, object]:
    """The settings of an entry for `ssh://user@host:port`; options: further ones, such as jump and key.

    accept: told the fingerprint of the server's key, says whether it is the right one. Raises UsageError
    where it is not, DeviceError where nobody answers.
    """
    try:
        port, host = address.port, address.hostname
    except ValueError as error:
        raise UsageError(f"'{address.geturl()}': {error}") from error
    if not host or address.password or address.path.strip("/") or address.query or address.fragment:
        shown = address.geturl().replace(f":{address.password}@", ":…@")  # a password is told to nobody
        raise UsageError(f"'{shown}' is not of the form ssh://user@host:port")
    settings: dict[str, object] = {"host": host} | ({"user": address.username} if address.username else {})
    settings |= ({"port": port} if port else {}) | options
    at = read_address(Entry("new device", settings, devices.user_file()))
    transport = SshTransport(at)
    try:
        key = _ssh_keys.of_server(transport.socket(), CONNECT_S)
    finally:
        transport.close()
    if not accept(_ssh_keys.fingerprint(key)):
        raise UsageError(f"the host key of {at} is not accepted: nothing was sent to it or written")
    return settings | {"host_key": _ssh_keys.written(key)}


def open(entry: Entry) -> RemoteDevice:
    address = read_address(entry)
    folder, settings = entry.text("folder", FOLDER), entry.trial_facts()
    return RemoteDevice(entry.name, "ssh", SshTransport(address), folder, settings=settings)


def read_address(entry: Entry, behind: tuple[str, ...] = ()) -> Address:
    """The address of an entry and of those that it is behind. Raises UsageError."""
    entry.only(*SETTINGS)
    jump = None
    if "jump" in entry.settings:
        gate = devices.registry().get(entry.text("jump"))
        if gate is None or gate.settings.get("transport") != "ssh" or gate.name in (*behind, entry.name):
            raise entry.wrong(
                f"'jump' must be another device with transport \"ssh\", not '{entry.text('jump')}'"
            )
        jump = read_address(gate, (*behind, entry.name))
    return Address(
        host=entry.text("host"),
        user=entry.text("user", getpass.getuser()),
        port=entry.number("port", PORT),
        key=entry.text("key") if "key" in entry.settings else None,
        host_key=entry.text("host_key") if "host_key" in entry.settings else None,
        jump=jump,
    )


@contextlib.contextmanager
def _connecting(at: Address, pinned: paramiko.PKey) -> Iterator[None]:
    """Everything that may be wrong with a server or with the user's keys."""
    try:
        yield
    except paramiko.BadHostKeyException as error:
        raise DeviceError(
            f"{at} has another host key ({_ssh_keys.fingerprint(error.key)}) than the pinned one "
            f"({_ssh_keys.fingerprint(pinned)}): somebody may be in between; if its system was installed "
            "anew, remove the device and add it again"
        ) from error
    except paramiko.PasswordRequiredException as error:
        raise DeviceError(f"the key for {at} needs its passphrase: run `ssh-add` first") from error
    except paramiko.AuthenticationException as error:
        raise DeviceError(
            f"{at} takes none of your keys: run `ssh-copy-id {at.user}@{at.host}`, or name one with key = …"
        ) from error
    except (EOFError, OSError, paramiko.SSHException) as error:
        raise ConnectionLost(f"cannot connect to {at}: {_said(error)}") from error


class _Line:
    """A connection's bytes, and when the last of them arrived."""

    def __init__(self, stream: socket.socket | paramiko.Channel) -> None:
        self._stream = stream
        self.heard = time.monotonic()

    def recv(self, count: int) -> bytes:
        arrived = self._stream.recv(count)
        if arrived:
            self.heard = time.monotonic()
        return arrived

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def _watch(transport: paramiko.Transport, line: _Line) -> None:
    """Closes the connection when the other side is silent though asked, which fails whatever waits for it.

    An answer that is late behind other data is none that is missing: whatever arrives is a sign of life.
    """

    def ask() -> None:
        with contextlib.suppress(EOFError, OSError, paramiko.SSHException):
            while transport.is_active():
                transport.global_request("keepalive@openssh.com", wait=True)
                time.sleep(KEEPALIVE_S)

    def listen() -> None:
        while transport.is_active():
            time.sleep(KEEPALIVE_S)
            if time.monotonic() - line.heard > DEAD_S:
                transport.close()

    for work in (ask, listen):
        threading.Thread(target=work, daemon=True).start()


def _read(channel: paramiko.Channel, wall_s: float, idle_s: float | None) -> tuple[Stream, Stream]:
    """Both streams to their ends, with signs of life the other way."""
    stdout, stderr = Stream(), Stream()
    began = heard = beaten = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        while True:
            selector.select(LOOK_S)
            ended = channel.closed or channel.eof_received
            status_known = channel.exit_status_ready()
            now = time.monotonic()
            if _take(channel, stdout, stderr):
                heard = now
            elif ended or (status_known and now - heard > LEFT_OPEN_S):
                return stdout, stderr
            if now - began > wall_s:
                raise DeadlineError(f"was still running after {wall_s:g} s")
            if idle_s is not None and now - heard > idle_s:
                raise DeadlineError(f"said nothing for {idle_s:g} s")
            if now - beaten > BEAT_S and not ended and not status_known:
                channel.sendall(b"\n")
                beaten = now


def _take(channel: paramiko.Channel, stdout: Stream, stderr: Stream) -> bool:
    """Reads what is there; whether there was anything."""
    heard = False
    if channel.recv_ready():
        stdout.add(channel.recv(1 << 16))
        heard = True
    if channel.recv_stderr_ready():
        stderr.add(channel.recv_stderr(1 << 16))
        heard = True
    return heard


def _said(error: BaseException) -> str:
    return clean(str(error) or type(error).__name__, 200)
