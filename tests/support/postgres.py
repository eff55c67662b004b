"""A real PostgreSQL server for tests: Debian's, started on loopback in a temporary folder."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
PASSWORD = secrets.token_hex(16)
START_S = 60


class Server:
    """A running server. `new_database` gives each test its own."""

    def __init__(self, port: int) -> None:
        self.url = f"postgresql://bench:{PASSWORD}@127.0.0.1:{port}/"
        self._engine = sa.create_engine(
            self.url.replace("://", "+psycopg://") + "postgres", isolation_level="AUTOCOMMIT"
        )
        self._count = 0

    def new_database(self) -> str:
        """The URL of an empty database."""
        self._count += 1
        self.execute(f"CREATE DATABASE test{self._count}")
        return f"{self.url}test{self._count}"

    def execute(self, sql: str) -> None:
        with self._engine.connect() as connection:
            connection.exec_driver_sql(sql)

    def wait(self, process: subprocess.Popen) -> None:
        """Until it answers."""
        deadline = time.monotonic() + START_S
        while True:
            try:
                return self.execute("SELECT 1")
            except sa.exc.OperationalError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def close(self) -> None:
        self._engine.dispose()


@contextmanager
def server() -> Iterator[Server]:
    """Starts a server; skips the test with a reason where there is none to start."""
    program, initdb = _program("postgres"), _program("initdb")
    with tempfile.TemporaryDirectory(prefix="quantbench-postgres-") as folder:
        password = Path(folder, "password")
        password.write_text(PASSWORD)
        _give_to_postgres(folder, password)
        data = f"{folder}/data"
        made = [
            "--username=bench",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--no-locale",
            "-E",
            "UTF8",
        ]
        subprocess.run([*_as_user(), initdb, "-D", data, "--no-sync", *made], check=True, capture_output=True)
        port = _free_port()
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]
        argv = [*_as_user(), program, "-D", data, "-p", str(port), *settings]
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        running = Server(port)
        try:
            running.wait(process)
            yield running
        finally:
            running.close()
            process.send_signal(signal.SIGINT)  # ends it without waiting for clients to leave
            process.wait()


def _program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([*map(str, DEBIAN), os.environ.get("PATH", "")]))
    if found is None:
        pytest.skip(f"needs PostgreSQL's {name}: apt-get install postgresql")
    return found


def _as_user() -> list[str]:
    """PostgreSQL refuses to run as root; and it must end even where the tests are killed."""
    words = ["setpriv", "--pdeathsig", "INT"]
    if os.getuid() == 0:
        words += ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
    return words


def _give_to_postgres(*paths: str | Path) -> None:
    if os.getuid() == 0:
        for path in paths:
            shutil.chown(path, "postgres", "postgres")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
