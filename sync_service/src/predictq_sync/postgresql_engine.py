"""PostgreSQL as the database: a bounded pool of connections on which nothing waits for ever."""

from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from predictq.errors import MissingExtra, UserMistake

__all__ = ["postgresql_engine"]

POOL_SIZE = 5
MAX_OVERFLOW = 5
"""Connections beyond those of the pool, closed after use: ten a process at most."""
CONNECT_SECONDS = 10
STATEMENT_SECONDS = 60
LOCK_SECONDS = 10
IDLE_SECONDS = 60
"""After which the server ends a transaction whose process hangs, and with it its locks."""
_CONNECT = {
    "application_name": "predictq",
    "connect_timeout": CONNECT_SECONDS,
    # A server whose machine is gone says nothing: a dead connection is noticed within half a minute.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
"""Parameters of libpq, where the URL does not give them."""
_SESSION = (
    f"SET statement_timeout = '{STATEMENT_SECONDS}s'; "
    f"SET lock_timeout = '{LOCK_SECONDS}s'; "
    f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'; "
    # Compiling a statement takes longer than any of ours runs.
    "SET jit = off; "
    # A plan that was made for all time while the tables were empty reads the whole of them when they are full.
    "SET plan_cache_mode = force_custom_plan; "
    "SET client_min_messages = warning"
)


def postgresql_engine(url: str, *, expected: str, pool_seconds: float) -> Engine:
    """An engine on the server that the URL names. Does not connect.

    Raises UserMistake, which never shows the URL, for it may hold a password; MissingExtra without the driver.
    """
    parsed = _parsed(url, expected)
    try:
        # Positional parameters on both databases, so that bulk statements take rows as tuples.
        engine = create_engine(
            parsed,
            paramstyle="format",
            pool_pre_ping=True,
            pool_use_lifo=True,
            pool_size=POOL_SIZE,
            max_overflow=MAX_OVERFLOW,
            pool_timeout=pool_seconds,
            connect_args={name: value for name, value in _CONNECT.items() if name not in parsed.query},
        )
    except ModuleNotFoundError as error:
        raise MissingExtra("postgresql+psycopg", "postgresql", of="predictq-sync") from error
    event.listen(engine, "connect", _bound)
    return engine


def _parsed(url: str, expected: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise UserMistake(f"database: is no URL; {expected}") from error
    if parsed.drivername not in {"postgresql", "postgresql+psycopg"}:
        raise UserMistake(f"database: {parsed.drivername}:// is no database that predictq knows; {expected}")
    if not parsed.database:
        raise UserMistake(f"database: the URL names no database; {expected}")
    return parsed.set(drivername="postgresql+psycopg")


def _bound(connection: Any, _: object) -> None:
    """By statements, not by the startup packet's options, which poolers between us and the server refuse."""
    connection.autocommit = True
    connection.execute(_SESSION)
    connection.autocommit = False
