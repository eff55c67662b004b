"""One controller at a time: the lease of a device, kept alive for as long as it is used.

    with lease.held(device, runner, wait_s, progress) as leased:
        leased.run(…)          # fenced: a runner that no longer holds the lease gives no result

The lease is a line in a file on the device itself, so it holds between processes and between hosts that
share the device; `runtime/runner/lease.c` grants it. A heartbeat renews it; an owner that stops lets it run
out.
"""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from devices import Device, RunResult
from harness import cache, runner_output
from harness.deploy import deploy_built
from harness.environment import held_governor
from harness.errors import DeviceError, TrialError, UsageError
from harness.files import replacing
from harness.runner_events import LeaseAnswer
from harness.text import clean, duration

FILE = "lease"  # in the device's work folder
TTL_S = 60.0  # a lease lasts so long without a heartbeat
HEARTBEAT_S = 15.0
POLL_S = 2.0
LONGEST_S = 7 * 86400  # of a reservation
ANSWER_S = 30.0  # the longest that one question to the device may take


@dataclass(frozen=True)
class Grants:
    """Asks the runner on a device for leases. runner: its name in the work folder."""

    device: Device
    runner: str

    def ask(
        self,
        action: str,
        token: str,
        *,
        ttl_s: float = TTL_S,
        reservation: str | None = None,
        gone: str | None = None,
    ) -> LeaseAnswer:
        """One action of `bench-runner lease`. Raises DeviceError, TrialError."""
        nonce = runner_output.new_nonce()
        argv = [self.runner, "lease", "--nonce", nonce, "--action", action, "--file", FILE]
        argv += ["--token", token, "--holder", holder(), "--ttl-ms", str(int(ttl_s * 1000))]
        argv += ["--reservation", reservation] if reservation else []
        argv += ["--gone", gone] if gone else []
        return runner_output.read_lease(self.device.run(argv, ANSWER_S), nonce)


class Leased:
    """A device under a lease: the Device protocol, with every program fenced by the lease's token."""

    def __init__(self, grants: Grants, token: str) -> None:
        self._grants = grants
        self._token = token
        self._lost: str | None = None
        self._renewed = time.monotonic()

    def __getattr__(self, name: str) -> object:
        return getattr(self._grants.device, name)

    def restore_governor(self) -> None:
        """Where the lease is lost, its next owner does it, when they no longer measure."""
        if self._lost is None:
            self._grants.device.restore_governor()

    def run(
        self,
        argv: list[str],
        timeout: float,
        *,
        env: dict[str, str] | None = None,
        idle_timeout: float | None = None,
    ) -> RunResult:
        """As the device's own. Raises DeviceError where the lease is lost."""
        if self._lost is not None:
            raise DeviceError(self._lost)
        fence = {"QB_LEASE": f"{FILE}:{self._token}"}
        return self._grants.device.run(argv, timeout, env=(env or {}) | fence, idle_timeout=idle_timeout)

    def renew(self) -> None:
        """One heartbeat. A device that cannot be asked keeps the lease until it has run out."""
        try:
            answer = self._grants.ask("renew", self._token)
        except (DeviceError, TrialError) as error:
            if time.monotonic() - self._renewed > TTL_S:
                self._lost = f"lease lost: the device could not be asked for {TTL_S:.0f} s: {error}"
            return
        if answer.granted == "yes":
            self._renewed = time.monotonic()
        else:
            self._lost = f"lease lost to {clean(answer.holder or 'nobody: it was cleared')}"


@contextmanager
def held(
    device: Device,
    runner: str,
    wait_s: float = 0.0,
    waiting: Callable[[str], None] = lambda text: None,
    reservation: str | None = None,
) -> Iterator[Leased]:
    """Holds the device's lease; waits up to `wait_s` seconds for it, telling `waiting` for whom.

    Raises DeviceError naming the holder where somebody else has the device, TrialError for an answer that
    breaks the runner's contract.
    """
    grants, token = Grants(device, runner), secrets.token_hex(16)
    _acquire(grants, token, wait_s, waiting, reservation)
    leased, done = Leased(grants, token), Event()
    heart = Thread(target=_beat, args=(leased, done), name="lease heartbeat", daemon=True)
    heart.start()
    try:
        yield leased
    finally:
        done.set()
        heart.join(ANSWER_S)
        _release(grants, token)


@contextmanager
def for_measuring(
    device: Device,
    wait_s: float,
    progress: Callable[[str, int, int], None],
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[Device]:
    """The device under its lease, its governor held. The runner grants leases: it is sent first and alone."""
    there = deploy_built(device, progress=lambda text: progress(text, 0, 0))
    info = there.info
    if there.sent_bytes:
        note(f"{info.name}: runner: {there.sent_bytes:,} bytes sent")

    def waiting(text: str) -> None:
        progress(f"{info.name}: {text}", 0, 0)

    reservation = own_reservation(info.name)
    with held(device, there.runner, wait_s, waiting, reservation) as owned, held_governor(owned):
        yield owned


def reserve(grants: Grants, name: str, for_s: float) -> None:
    """Keeps the device called `name` for this user of this machine. DeviceError: somebody else has done so.

    The token that lets own runs in is kept in the user's cache.
    """
    if for_s > LONGEST_S:
        raise UsageError(f"a device can be kept for {LONGEST_S // 86400} days at most")
    token = own_reservation(name) or secrets.token_hex(16)
    answer = grants.ask("reserve", token, ttl_s=for_s)
    if answer.granted != "yes":
        left = duration((answer.ms_left or 0) / 1000)
        raise DeviceError(
            f"device '{name}' is kept by {clean(answer.holder or 'somebody')} for another {left}"
        )
    with replacing(_token_file(name)) as temporary:
        temporary.write_text(token)


def own_reservation(name: str) -> str | None:
    """The token of this user's reservation of the device, where there was one."""
    path = _token_file(name)
    return path.read_text() if path.is_file() else None


def clear(grants: Grants, name: str, *, force: bool) -> str | None:
    """Ends the reservation and the lease of a device; returns whose it was, None where it was free.

    UsageError: it is somebody else's, and that is not forced.
    """
    found = grants.ask("show", own_reservation(name) or "-")
    owner = None if found.granted == "yes" else found.holder or "somebody"
    if owner and not force and owner.rpartition(" pid ")[0] != _here():
        raise UsageError(f"device '{name}' is held by {clean(owner)}: ask them, or end it with --force")
    grants.ask("clear", own_reservation(name) or "-")
    _token_file(name).unlink(missing_ok=True)
    return owner


def _token_file(name: str) -> Path:
    return cache.folder("reservations") / name


def holder() -> str:
    """Who is told to others that want the device: user, host and process."""
    return f"{_here()} pid {os.getpid()}"


def _here() -> str:
    text = f"{getpass.getuser()}@{socket.gethostname()}"
    return text.encode("ascii", "replace").decode()[:100]


def _is_gone(who: str) -> bool:
    """Whether this is a process of this user on this machine that has ended without giving its lease back."""
    place, _, number = who.rpartition(" pid ")
    if place != _here() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    return False


def _beat(leased: Leased, done: Event) -> None:
    while not done.wait(HEARTBEAT_S):
        leased.renew()


def _acquire(
    grants: Grants, token: str, wait_s: float, waiting: Callable[[str], None], reservation: str | None
) -> None:
    deadline = time.monotonic() + wait_s
    gone = None
    while (answer := grants.ask("acquire", token, reservation=reservation, gone=gone)).granted != "yes":
        if gone is None and _is_gone(answer.holder or ""):
            gone = answer.holder
            continue
        left = deadline - time.monotonic()
        in_use = f"device '{grants.device.info().name}' is in use by {clean(answer.holder or 'somebody')}"
        if left <= 0:
            for_how_long = duration((answer.ms_left or 0) / 1000)
            raise DeviceError(
                f"{in_use}, for another {for_how_long} unless that is renewed: wait for it with --wait, or, "
                "where that owner is gone for good, end it with bench devices unlock"
            )
        waiting(f"{in_use}: waiting, {duration(left)} left")
        time.sleep(min(POLL_S, left))


def _release(grants: Grants, token: str) -> None:
    """Where the device cannot be reached any more, the lease runs out by itself."""
    try:
        grants.ask("release", token)
    except (DeviceError, TrialError):
        return
