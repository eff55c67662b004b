"""Runs one program on this machine so that it can neither outlive its deadline nor flood the memory."""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import time
from pathlib import Path

from devices import RunResult
from harness.errors import DeadlineError, DeviceError

OUTPUT_CAP = 64 << 20  # bytes kept of each stream; the rest is read and dropped


def run(
    argv: list[str],
    *,
    cwd: Path,
    env: dict[str, str],
    timeout: float,
    idle_timeout: float | None = None,
    executable: Path | None = None,
) -> RunResult:
    """Runs argv with exactly the environment `env`, in a session and process group of its own.

    executable: the file to execute where it is not argv[0]. The whole group is killed at the deadline, and
    what is left of it when its first process ends. DeviceError: argv cannot be started. DeadlineError: it
    runs for longer than `timeout` seconds, or says nothing for `idle_timeout`.
    """
    start = time.monotonic()
    try:
        process = subprocess.Popen(
            argv,
            executable=executable,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise DeviceError(f"cannot start '{argv[0]}': {getattr(error, 'strerror', None) or error}") from error
    try:
        streams, silent = _drain(process, start + timeout, idle_timeout)
    finally:
        _kill_group(process)
        process.wait()
        process.stdout.close()
        process.stderr.close()
    if streams is None:
        why = f"said nothing for {idle_timeout:g} s" if silent else f"was still running after {timeout:g} s"
        raise DeadlineError(f"'{shlex.join(argv)[:200]}' {why} and was killed")
    stdout, stderr = streams
    code = process.returncode
    return RunResult(
        exit_code=code if code >= 0 else None,
        stdout=bytes(stdout[:OUTPUT_CAP]),
        stderr=bytes(stderr[:OUTPUT_CAP]),
        signal=_signal_name(-code) if code < 0 else None,
        truncated=max(len(stdout), len(stderr)) > OUTPUT_CAP,
        wall_s=time.monotonic() - start,
    )


def _drain(
    process: subprocess.Popen[bytes], deadline: float, idle_timeout: float | None
) -> tuple[tuple[bytearray, bytearray] | None, bool]:
    """Reads both streams to their ends, keeping about OUTPUT_CAP bytes of each; None if out of time.

    The second value says whether time ran out because nothing was said.
    """
    kept = {process.stdout: bytearray(), process.stderr: bytearray()}
    ended = os.pidfd_open(process.pid)  # readable when the process has ended
    try:
        with selectors.DefaultSelector() as selector:
            for source in (*kept, ended):
                selector.register(source, selectors.EVENT_READ)
            heard = time.monotonic()
            while selector.get_map():
                now = time.monotonic()
                end = deadline if idle_timeout is None else min(deadline, heard + idle_timeout)
                if end <= now:
                    return None, end < deadline
                for key, _ in selector.select(end - now):
                    heard = time.monotonic()
                    if key.fileobj == ended:
                        _kill_group(process)  # its children may hold the streams open
                        selector.unregister(ended)
                    elif not (chunk := os.read(key.fd, 1 << 16)):
                        selector.unregister(key.fileobj)
                    elif len(kept[key.fileobj]) <= OUTPUT_CAP:
                        kept[key.fileobj] += chunk
    finally:
        os.close(ended)
    return (kept[process.stdout], kept[process.stderr]), False


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # Only while the process is not reaped yet: until then nobody else can get its id.
    with contextlib.suppress(ProcessLookupError):  # nobody is left
        os.killpg(process.pid, signal.SIGKILL)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time signal
