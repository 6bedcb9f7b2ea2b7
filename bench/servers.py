"""The servers that a benchmark runs on: given from outside, else processes of its own on free ports."""

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import psycopg
from psycopg import sql

from asked import Asked
from programs import HERE

sys.path.append(str(HERE.parent))  # the tests know how to start servers

from tests.servers.names import ServerName, variable_of
from tests.servers.starting import LOCAL_SERVERS, new_folder

__all__ = ["SQLITE_BROKER", "SQLITE_DATABASE", "new_database", "serving"]

SQLITE_BROKER = "sqlite:///var/broker.db"
SQLITE_DATABASE = "sqlite:///var/predictions.db"
SERVER_OF: Mapping[str, ServerName] = {
    "redis": "redis",
    "kafka": "kafka",
    "confluent": "kafka",
    "amqp": "amqp",
    "postgresql": "postgresql",
}


@contextmanager
def serving(names: Sequence[str], asked: Asked) -> Iterator[dict[str, str]]:
    """URLs as predictq takes them, of brokers by their names in asked.BROKERS and of `postgresql`.

    Raises RuntimeError for a server that is neither given, by the command line or by `$PREDICTQ_TEST_…_URL`, nor
    installed.
    """
    with ExitStack() as stack:
        started: dict[ServerName, str] = {}
        urls: dict[str, str] = {}
        for name in names:
            server = SERVER_OF.get(name)
            if server is None:
                urls[name] = SQLITE_BROKER
                continue
            url = asked.urls.get(name) or os.environ.get(variable_of(server)) or started.get(server)
            if url is None:
                url = started[server] = stack.enter_context(_started(server))
            urls[name] = url.replace("kafka://", "kafka+confluent://", 1) if name == "confluent" else url
        yield urls


@contextmanager
def _started(name: ServerName) -> Iterator[str]:
    server_type = LOCAL_SERVERS[name]
    if not server_type.is_installed():
        raise RuntimeError(f"{name} is not installed here: `make services` does that; or set {variable_of(name)}")
    folder = new_folder()
    server = server_type(folder / name)
    try:
        server.start()
        yield server.url
    finally:
        server.stop()
        shutil.rmtree(folder)


@contextmanager
def new_database(url: str | None) -> Iterator[str]:
    """A new database on the PostgreSQL at `url`, gone afterwards; None: the file of a stage."""
    if url is None:
        yield SQLITE_DATABASE
        return
    name = f"bench_{time.time_ns():x}"
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield f"{url.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
