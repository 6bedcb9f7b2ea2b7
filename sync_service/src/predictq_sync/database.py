"""The database behind a URL: SQLite or PostgreSQL, with their transactions and their errors made alike."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    DisconnectionError,
    IntegrityError,
    TimeoutError,  # noqa: A004 - SQLAlchemy's, of its pool
)
from sqlalchemy.pool import QueuePool

from predictq.errors import DatabaseUnavailable, MissingExtra, UserMistake

__all__ = ["Database"]

BUSY_SECONDS = 10.0
"""How long a writer waits for the writer of another process."""
WAL_RESET_FIXED = (3, 51, 3)
"""SQLite before this can corrupt a WAL when a checkpoint meets a commit (https://sqlite.org/wal.html#walresetbug)."""
_EXPECTED = "sqlite:///path or postgresql+psycopg://user@host/name would be right"


class Database:
    """One database, shared by the threads of a process.

    `write` and `read` each are one transaction. In both, a driver's error that trying again may cure comes out as
    DatabaseUnavailable; DataError and IntegrityError come out as they are: these are the fault of what was written.
    """

    def __init__(self, url: str) -> None:
        self.path: Path | None = None
        self._turn: AbstractContextManager[object] = nullcontext()
        scheme, _, rest = url.partition("://")
        if scheme == "sqlite":
            self.path = _sqlite_path(url, rest)
            # Writers of one process queue here instead of in SQLite's busy handler, which sleeps.
            self._turn = threading.Lock()
            self.engine = _sqlite_engine(self.path)
        else:
            self.engine = _postgresql_engine(url)
        self.dialect = self.engine.dialect.name

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes. Blocks until it is this writer's turn."""
        with (
            self._turn,
            _unavailable(),
            self.engine.connect() as connection,
            connection.execution_options(writes=True).begin(),
        ):
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, and waits for no writer."""
        with _unavailable(), self.engine.connect() as connection:
            yield connection

    def create(self) -> None:
        """Make the file of a SQLite database and the folders above it, where they are missing."""
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch()
        except OSError as error:
            raise DatabaseUnavailable(f"database: {self.path} cannot be made: {error.strerror}") from error

    def close(self) -> None:
        """Close the connections that are idle. The database may be used again."""
        self.engine.dispose()


def _sqlite_path(url: str, rest: str) -> Path:
    """The path as it is written: a folder's name may hold a percent or a question mark."""
    if not rest.startswith("/") or rest[1:] in {"", ":memory:"}:
        raise UserMistake(f"database: {url!r} names no file that several processes could share; {_EXPECTED}")
    return Path(rest[1:])


def _postgresql_engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        # Not shown: it may hold a password.
        raise UserMistake(f"database: is no URL; {_EXPECTED}") from error
    if parsed.drivername not in {"postgresql", "postgresql+psycopg"}:
        raise UserMistake(f"database: {parsed.drivername}:// is no database that predictq knows; {_EXPECTED}")
    try:
        # Positional parameters on both databases, so that bulk statements take rows as tuples.
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            paramstyle="format",
            pool_pre_ping=True,
            pool_timeout=BUSY_SECONDS,
        )
    except ModuleNotFoundError as error:
        raise MissingExtra("postgresql+psycopg", "postgresql") from error


def _sqlite_engine(path: Path) -> Engine:
    driver, journal = _sqlite_driver()
    # mode=rw: a file that is gone must be an error here, never a new, empty database.
    uri = f"file:{quote(str(path))}?mode=rw"

    def connect() -> Any:
        connection = driver.connect(
            uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.execute("PRAGMA page_size=8192")  # of a new file; a sixth less time than the default of 4096
        connection.execute(f"PRAGMA journal_mode={journal}").fetchone()
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-16384")
        connection.execute("PRAGMA temp_store=MEMORY")
        return connection

    engine = create_engine(
        "sqlite+pysqlite://",
        module=driver,
        creator=connect,
        poolclass=QueuePool,
        pool_size=8,
        max_overflow=56,
        pool_timeout=BUSY_SECONDS,
    )

    @event.listens_for(engine, "connect")
    def remember_file(_: Any, entry: Any) -> None:
        entry.info["file"] = _identity(path)

    @event.listens_for(engine, "checkout")
    def same_file(_: Any, entry: Any, __: Any) -> None:
        # SQLite keeps writing to a file that was moved away or deleted; what it commits there nobody will ever read.
        if entry.info["file"] != _identity(path):
            raise DisconnectionError(f"{path} is no longer the file that was opened")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # The driver begins lazily and deferred; a deferred transaction that comes to write after another one's commit
        # fails at once with "database is locked", whatever the timeout.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _sqlite_driver() -> tuple[ModuleType, str]:
    """The module to open SQLite with, and the journal mode that is safe in it."""
    try:
        from pysqlite3 import dbapi2 as current  # noqa: PLC0415 - a wheel that not every platform has
    except ImportError:
        return sqlite3, "WAL" if sqlite3.sqlite_version_info >= WAL_RESET_FIXED else "TRUNCATE"
    return current, "WAL"


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _unavailable() -> Iterator[None]:
    """The one place where the driver's errors are told apart.

    Only DataError and IntegrityError speak of the rows. All else (locked, full, read-only, gone, corrupt, no such
    table) speaks of the database, and then it is better to wait for its operator than to bury a single message.
    """
    try:
        yield
    except (DataError, IntegrityError):
        raise
    except DBAPIError as error:
        raise DatabaseUnavailable(f"database: {error.orig}") from error
    except TimeoutError as error:
        raise DatabaseUnavailable(f"database: no connection became free within {BUSY_SECONDS:.0f} s") from error
