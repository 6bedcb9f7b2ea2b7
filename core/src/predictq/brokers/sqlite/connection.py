"""One connection to the file: how it is set up, and its transactions."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Self

import apsw

from predictq.brokers.sqlite.errors import translated
from predictq.brokers.sqlite.schema import prepare

__all__ = ["WAL_LIMIT_BYTES", "Connection", "Place", "fetch"]

_PATIENCE_SECONDS = 5.0
_PAGE_BYTES = 8192
_CHECKPOINT_PAGES = 2_000
_STATEMENTS_KEPT = 512
WAL_LIMIT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where the database is."""

    filename: str
    """A path, or a URI of SQLite's."""
    in_memory: bool = False

    @classmethod
    def file(cls, path: str) -> Self:
        """A file on disk."""
        return cls(str(Path(path).absolute()))

    @classmethod
    def memory(cls, name: str) -> Self:
        """A database of this process, shared by its connections; gone with the last of them."""
        return cls(f"file:/{name}?vfs=memdb", in_memory=True)


class Connection:
    """A connection for one thread at a time; never to be carried across a fork."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._full = True
        with translated(place.filename):
            self.db = _open(place)

    @contextmanager
    def transaction(self, *, durable: bool) -> Iterator[apsw.Connection]:
        """A write transaction; all of it or nothing.

        `durable` waits until the disk has it. Without, it survives the end of the process but not of the power: right
        for what is only worth something while processes live, such as leases.
        """
        db = self.db
        with translated(self.place.filename):
            if durable is not self._full:
                # Not from the statement cache: SQLite acts on this pragma when it compiles it.
                db.execute("PRAGMA synchronous=FULL" if durable else "PRAGMA synchronous=NORMAL", can_cache=False)
                self._full = durable
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """Single statements, each a transaction of its own: no reader stays open to hold back the log's reset."""
        with translated(self.place.filename):
            yield self.db

    @contextmanager
    def snapshot(self) -> Iterator[apsw.Connection]:
        """Several queries that see one state of the file; short, for an open reader holds back the log's reset."""
        with translated(self.place.filename):
            self.db.execute("BEGIN")
            try:
                yield self.db
            finally:
                self.db.execute("ROLLBACK")

    def rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        """All rows of one query."""
        with translated(self.place.filename):
            return fetch(self.db, sql, parameters)

    def close(self) -> None:
        """Close it; may be called again."""
        with translated(self.place.filename):
            self.db.close()


def fetch(db: apsw.Connection, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
    """All rows of one query, inside somebody's transaction."""
    return db.execute(sql, parameters).fetchall()


def _open(place: Place) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    if place.in_memory:
        flags |= apsw.SQLITE_OPEN_URI
    else:
        _make_folder(Path(place.filename).parent)
    db = apsw.Connection(place.filename, flags=flags, statementcachesize=_STATEMENTS_KEPT)
    try:
        db.set_busy_handler(_Patience(_PATIENCE_SECONDS))
        db.pragma("page_size", _PAGE_BYTES)
        if not place.in_memory:
            _use_write_ahead_log(db)
            db.pragma("journal_size_limit", WAL_LIMIT_BYTES)
            db.wal_autocheckpoint(_CHECKPOINT_PAGES)
        db.pragma("synchronous", "FULL")
        prepare(db, place.filename)
    except BaseException:
        db.close()
        raise
    return db


def _use_write_ahead_log(db: apsw.Connection) -> None:
    """Switch the mode; where several do it to a new file at once, SQLite refuses all but one without waiting."""
    patience = _Patience(_PATIENCE_SECONDS)
    for tries in count():
        try:
            mode = db.pragma("journal_mode", "WAL")
        except apsw.BusyError:
            if not patience(tries):
                raise
        else:
            if mode != "wal":
                raise apsw.VFSNotImplementedError(f"no write-ahead log here, but {mode}")
            return


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise apsw.CantOpenError(f"folder {folder}: {error.strerror}") from error


class _Patience:
    """Waits for another's lock. SQLite's own handler sleeps for up to 0.1 s at a time, which starves the unlucky."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = 0.0

    def __call__(self, tries: int) -> bool:
        now = time.monotonic()
        if tries == 0:
            self._deadline = now + self._seconds
        elif now >= self._deadline:
            return False
        time.sleep(min(0.0001 * 1.5 ** min(tries, 20), 0.005))
        return True
