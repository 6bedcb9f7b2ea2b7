"""SQLite as the database: one file, opened so that commits are durable and a file that is gone is an error."""

import sqlite3
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import QueuePool

__all__ = ["cure_of", "sqlite_engine"]

WAL_RESET_FIXED = (3, 51, 3)
"""SQLite before this can corrupt a WAL when a checkpoint meets a commit (https://sqlite.org/wal.html#walresetbug)."""


def sqlite_engine(path: Path, *, busy_seconds: float) -> Engine:
    """An engine on the file, which must be there; a writer waits `busy_seconds` for one of another process."""
    driver, journal = _driver()
    # mode=rw: a file that is gone must be an error here, never a new, empty database.
    uri = f"file:{quote(str(path))}?mode=rw"

    def connect() -> Any:
        connection = driver.connect(
            uri, uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=256
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
        pool_timeout=busy_seconds,
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


def cure_of(error: BaseException) -> str | None:
    """What an operator has to do before the same call can work; None where waiting may be enough."""
    text = str(error)
    if text.startswith(("no such table", "no such column")):
        return "its tables are not those of this version: predictq db upgrade"
    if text.startswith("unable to open database file"):
        return "where there is none yet: predictq db upgrade"
    return None


def _driver() -> tuple[ModuleType, str]:
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
