"""Databases with their tables, one a test: a file, or one on the PostgreSQL server of the session."""

import atexit
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg
from sqlalchemy.engine import make_url
from tests.servers.finding import url_of

from predictq_sync.database import Database
from predictq_sync.migrations import upgrade

DIALECTS = ("sqlite", "postgresql")


@contextmanager
def fresh_url(dialect: str, folder: Path) -> Iterator[str]:
    """The URL of a migrated database that nobody else uses; on PostgreSQL it is gone afterwards."""
    if dialect == "sqlite":
        url = f"sqlite:///{folder}/predictions.db"
        _migrate(url)
        yield url
        return
    server = url_of("postgresql")
    with _on(server, _template(server)) as url:
        yield url


@contextmanager
def empty_url(server: str) -> Iterator[str]:
    """The URL of a database on that server in which nothing is; gone afterwards."""
    with _on(server, "template0") as url:
        yield url


def execute(server: str, *statements: str) -> None:
    """Run statements as the server's administrator, outside of any transaction."""
    with psycopg.connect(_plain(server), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@contextmanager
def _on(server: str, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        execute(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@cache
def _template(server: str) -> str:
    """The name of a database to copy: migrated once a session, and dropped with it."""
    name = f"test_template_{os.getpid()}_{uuid4().hex[:8]}"
    execute(server, f"CREATE DATABASE {name} TEMPLATE template0")
    atexit.register(_drop, server, name)
    _migrate(make_url(server).set(database=name).render_as_string(hide_password=False))
    return name


def _drop(server: str, name: str) -> None:
    # A server that was started for the session has ended with it.
    try:
        execute(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    except psycopg.OperationalError:
        return


def _migrate(url: str) -> None:
    with closing(Database(url)) as database:
        upgrade(database)


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)
