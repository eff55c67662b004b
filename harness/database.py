"""A connection to the results database: SQLite in WAL mode, or PostgreSQL.

Waits for a lock no longer than BUSY_TIMEOUT_S. A damaged SQLite file is refused and left as it is.
"""

from __future__ import annotations

import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from harness import schema
from harness.errors import BenchError, FormatError, UsageError
from harness.text import clean

BUSY_TIMEOUT_S = 10.0
POSTGRES = "postgresql+psycopg"
# An agreed number: who creates or lifts the tables of a PostgreSQL database holds this advisory lock.
PREPARE_LOCK = 0x71620001


class Unavailable(UsageError):
    """A database that cannot be used at the moment: locked, full or unreachable."""


class Database:
    """An open database whose tables are ready. Use `Database.open`, and close it."""

    def __init__(self, engine: sa.Engine, name: str) -> None:
        self._engine = engine
        self.name = name

    @classmethod
    def open(cls, where: str | Path) -> Database:
        """Opens a file's path or a database URL; a missing file is made, with its folder.

        Raises FormatError for a damaged or foreign database, Unavailable for one that cannot be reached or
        stays locked, UsageError for a place where none can be.
        """
        url = parse_url(where)
        database = cls(_engine(url), shown_name(url))
        try:
            database._check()
        except BenchError:
            database.close()
            raise
        return database

    def _check(self) -> None:
        """Only a database that is new or old is written to: others open while somebody writes."""
        with self.transaction(writes=False) as connection:
            if connection.dialect.name == "sqlite":
                found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
                if found != "ok":
                    raise FormatError(self._damaged(found))
            if self._explaining(schema.is_current, connection):
                return
        with self.transaction(writes=True) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(PREPARE_LOCK)))
            self._explaining(schema.prepare, connection)

    def _explaining(self, call, connection: sa.Connection):
        try:
            return call(connection)
        except FormatError as error:
            raise FormatError(f"results database '{self.name}': {error}") from None

    def close(self) -> None:
        """Gives back the connection."""
        self._engine.dispose()

    @contextmanager
    def transaction(self, *, writes: bool) -> Iterator[sa.Connection]:
        """A transaction that commits as a whole or not at all."""
        try:
            with self._engine.execution_options(writes=writes).begin() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise self._explained(error, error.orig) from error
        except sqlite3.Error as error:  # from the connect event, which SQLAlchemy does not wrap
            raise self._explained(error, error) from error
        except UnicodeEncodeError as error:  # half of a surrogate pair, from a file's name or a hostile file
            text = clean(repr(error.object), 80)
            raise UsageError(f"results database '{self.name}': {text} is not valid Unicode text") from error

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that reads; what cannot be decoded is damage."""
        with self.transaction(writes=False) as connection:
            try:
                yield connection
            # Damaged content, which the file's own checks cannot see:
            except (zlib.error, ValueError, TypeError, LookupError) as error:
                raise FormatError(self._damaged(error)) from error

    def _damaged(self, why: object) -> str:
        return (
            f"results database '{self.name}' is damaged ({clean(str(why))}): "
            "move it away or restore a copy; it was left as it is"
        )

    def _explained(self, error: Exception, cause: BaseException) -> BenchError:
        code = getattr(cause, "sqlite_errorcode", -1) & 0xFF  # the primary code of an extended one
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return FormatError(self._damaged(cause))
        locked = code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        if locked or getattr(cause, "sqlstate", None) == "55P03":  # PostgreSQL's lock_not_available
            return Unavailable(
                f"results database '{self.name}' is locked by another program "
                f"(waited {BUSY_TIMEOUT_S:g} s): end that program or use another --store"
            )
        message = f"results database '{self.name}': {clean(' '.join(str(cause).split()))}"
        if isinstance(error, (sa.exc.OperationalError, sqlite3.OperationalError)):
            is_file = isinstance(cause, sqlite3.Error)
            remedy = "the disk and the permissions" if is_file else "the URL, and that the server runs"
            return Unavailable(f"{message}; check {remedy}")
        return UsageError(message)


def parse_url(where: str | Path) -> sa.URL:
    """The URL of a file's path, or of a URL's text; `postgresql://` means the driver psycopg.

    Raises UsageError for what is neither, and for other kinds of databases.
    """
    if "://" not in str(where):
        return sa.URL.create("sqlite", database=_file(where))
    try:
        url = sa.make_url(str(where))
    except (sa.exc.ArgumentError, ValueError) as error:
        raise UsageError(f"results database '{where}': not a database URL: {clean(str(error))}") from error
    kind = url.get_backend_name()
    if kind == "sqlite":
        return sa.URL.create("sqlite", database=_file(url.database or ""))
    if kind not in ("postgresql", "postgres"):
        raise UsageError(f"results database '{shown_name(url)}': give sqlite:///FILE or postgresql://…")
    return url.set(drivername=POSTGRES)


def shown_name(url: sa.URL) -> str:
    """How messages call a database: its file, or its URL without the password."""
    return url.database if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def _file(where: str | Path) -> str:
    if str(where) == "" or Path(where).is_dir():
        raise UsageError(f"results database '{where}' must be a file or a database URL")
    return str(where)


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() == "sqlite":
        folder = Path(url.database).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot make the folder {folder}: {error.strerror}") from error
        engine = sa.create_engine(url)
        sa.event.listen(engine, "connect", _set_up_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    options = f"{url.query.get('options', '')} -c lock_timeout={BUSY_TIMEOUT_S * 1000:.0f}"
    waiting = {"connect_timeout": str(int(BUSY_TIMEOUT_S)), "options": options.strip()}
    try:
        return sa.create_engine(url, connect_args=waiting, pool_pre_ping=True)
    except ImportError as error:
        raise UsageError(
            "PostgreSQL needs the package psycopg: pip install 'quantbench[postgres]'"
        ) from error


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not guessed by the driver
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}")
    connection.execute("PRAGMA foreign_keys = ON")
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:  # this one statement does not wait for a lock by itself
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer takes its lock at once: one that reads first and writes later could not wait for another's.
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
