"""The database behind a URL: SQLite or PostgreSQL, with their transactions and their errors made alike."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    TimeoutError,  # noqa: A004 - SQLAlchemy's, of its pool
)

from predictq.errors import DatabaseUnavailable, UserMistake
from predictq_sync.postgresql_engine import postgresql_engine
from predictq_sync.postgresql_errors import cure_of as cure_on_postgresql
from predictq_sync.sqlite_engine import cure_of as cure_on_sqlite
from predictq_sync.sqlite_engine import sqlite_engine

__all__ = ["Database", "NeedsMending", "mistakes_told", "opened"]

BUSY_SECONDS = 10.0
"""How long a writer waits for the writer of another process, and anybody for a connection."""
_EXPECTED = "sqlite:///path or postgresql+psycopg://user@host/name would be right"


class NeedsMending(DatabaseUnavailable):
    """Away until its operator mends something; the message says what.

    A process that runs waits for that, as for any outage, lest it bury a single message; see `mistakes_told`.
    """


class Database:
    """One database, shared by the threads of a process.

    `write` and `read` each are one transaction. In both, a driver's error that trying again may cure comes out as
    DatabaseUnavailable; DataError and IntegrityError come out as they are: these are the fault of what was written.
    """

    def __init__(self, url: str) -> None:
        """Does not connect. Raises UserMistake for a URL that names no database, MissingExtra without its driver."""
        self.path: Path | None = None
        self._turn: AbstractContextManager[object] = nullcontext()
        self._cure_of: Callable[[BaseException], str | None] = cure_on_postgresql
        scheme, _, rest = url.partition("://")
        if scheme == "sqlite":
            self.path = _sqlite_path(url, rest)
            # Writers of one process queue here instead of in SQLite's busy handler, which sleeps.
            self._turn = threading.Lock()
            self._cure_of = cure_on_sqlite
            self.engine = sqlite_engine(self.path, busy_seconds=BUSY_SECONDS)
        else:
            self.engine = postgresql_engine(url, expected=_EXPECTED, pool_seconds=BUSY_SECONDS)
        self.dialect = self.engine.dialect.name

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes. Blocks until it is this writer's turn."""
        with (
            self._turn,
            self._told(),
            self.engine.connect() as connection,
            connection.execution_options(writes=True).begin(),
        ):
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, and waits for no writer."""
        with self._told(), self.engine.connect() as connection:
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

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The one place where the driver's errors are told apart.

        Only DataError and IntegrityError speak of the rows. All else (locked, full, read-only, gone, corrupt, no such
        table) speaks of the database, and then it is better to wait for its operator than to bury a single message.
        """
        try:
            yield
        except (DataError, IntegrityError):
            raise
        except DBAPIError as error:
            said = " ".join(str(error.orig).split())
            cure = self._cure_of(error.orig) if error.orig is not None else None
            if cure is not None:
                raise NeedsMending(f"database: {said}; {cure}") from error
            raise DatabaseUnavailable(f"database: {said}") from error
        except TimeoutError as error:
            raise DatabaseUnavailable(f"database: no connection became free within {BUSY_SECONDS:.0f} s") from error


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """The database for a command, closed afterwards; what an operator has to mend is a UserMistake within the block."""
    database = Database(url)
    try:
        with mistakes_told():
            yield database
    finally:
        database.close()


@contextmanager
def mistakes_told() -> Iterator[None]:
    """At the start of a process, when no message is in hand yet: what an operator has to mend is a UserMistake."""
    try:
        yield
    except NeedsMending as error:
        raise UserMistake(str(error)) from error


def _sqlite_path(url: str, rest: str) -> Path:
    """The path as it is written: a folder's name may hold a percent or a question mark."""
    if not rest.startswith("/") or rest[1:] in {"", ":memory:"}:
        raise UserMistake(f"database: {url!r} names no file that several processes could share; {_EXPECTED}")
    return Path(rest[1:])
