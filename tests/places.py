"""Where an installation keeps its messages and its rows: in its own folder, or on servers that all tests share."""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads
from tests.servers.finding import url_of

from predictq.brokers import Admin, open_broker
from predictq.errors import UserMistake
from predictq.topology import Topology

__all__ = [
    "EMBEDDED",
    "SERVER_BROKERS",
    "Place",
    "ServerBroker",
    "broker_url_of",
    "leave_nothing",
    "new_database",
    "place_on",
    "remove_all",
    "rows_of",
]

ServerBroker = Literal["redis", "amqp", "kafka", "confluent"]
SERVER_BROKERS: tuple[ServerBroker, ...] = ("redis", "amqp", "kafka", "confluent")

_LAST_MEMBERS_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Broker, database and the first part of all names on the broker."""

    broker: str
    database: str
    prefix: str = "predictq"


EMBEDDED = Place(broker="sqlite:///broker/log.db", database="sqlite:///database/rows.db")


@contextmanager
def place_on(broker: ServerBroker) -> Iterator[Place]:
    """A prefix on the broker and a database on PostgreSQL that nothing has been in; both are gone afterwards."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    url = broker_url_of(broker)
    with new_database(url_of("postgresql")) as database:
        place = Place(broker=url, database=database, prefix=prefix)
        try:
            yield place
        finally:
            leave_nothing(place)


def leave_nothing(place: Place) -> None:
    """Delete all topics and groups of the place. Members that were killed stay in their groups for a moment."""
    with closing(open_broker(place.broker)) as opened, closing(opened.admin()) as admin:
        remove_all(admin, place.prefix)


def remove_all(admin: Admin, prefix: str) -> None:
    """Delete all topics and groups under the prefix, as soon as the last members are out of their groups."""
    deadline = time.monotonic() + _LAST_MEMBERS_SECONDS
    while True:
        try:
            admin.ensure(Topology(prefix, (), ()), prune=True)
        except UserMistake as error:
            if "has members" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def broker_url_of(broker: ServerBroker) -> str:
    """The URL of the shared server, with the driver that is meant."""
    if broker == "confluent":
        return url_of("kafka").replace("kafka://", "kafka+confluent://", 1)
    return url_of(broker)


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """The URL of an empty database on the server; it is dropped afterwards, whoever is still connected."""
    name = f"predictq_{uuid.uuid4().hex[:12]}"
    identifier = sql.Identifier(name)
    with psycopg.connect(_plain(server), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(_plain(server), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


def rows_of(database: str, query: str, parameters: Sequence[Any]) -> list[dict[str, Any]]:
    """What a database on PostgreSQL says; `?` stands for a parameter, and JSON is left as its text."""
    with psycopg.connect(_plain(database), row_factory=dict_row) as connection:
        set_json_loads(lambda text: text if isinstance(text, str) else text.decode(), connection)
        return connection.execute(query.replace("?", "%s").encode(), parameters).fetchall()


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)
