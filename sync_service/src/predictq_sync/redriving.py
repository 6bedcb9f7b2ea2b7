"""What operators do with dead letters: find, look at, send again, throw away."""

from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

from pydantic_core import from_json
from sqlalchemy import ColumnElement, and_, bindparam, delete, func, select, update

from predictq.brokers import Message, Producer
from predictq.clock import wire_time
from predictq.names import Names
from predictq_sync.database import Database
from predictq_sync.statements import among, json_ids
from predictq_sync.tables import dead_letters

__all__ = ["DeadLetter", "Filter", "Redriven", "count", "deployment_of", "find", "load", "purge", "redrive"]

REDRIVE_CHUNK = 100


class Filter(NamedTuple):
    """Which dead letters: all conditions that are given hold."""

    ids: Sequence[str] | None = None
    endpoint: str | None = None
    group: str | None = None
    state: str | None = None


class DeadLetter(NamedTuple):
    """A dead letter as the table holds it."""

    id: str
    endpoint: str
    group_name: str
    reason: str
    attempts: int
    redeliveries: int
    redrive: int
    origin_topic: str
    origin_partition: int
    origin_position: str
    key: bytes | None
    value: bytes
    headers: Mapping[str, str]
    published_at: str
    dead_at: str
    state: str
    redriven_at: str | None
    request_id: str | None


class Redriven(NamedTuple):
    """What became of dead letters that were to be sent again."""

    sent: Sequence[tuple[DeadLetter, Message]]
    undeliverable: Sequence[tuple[DeadLetter, str]]
    """Those that nobody could read any more, and the topic that is gone."""


def find(database: Database, wanted: Filter, *, limit: int) -> Sequence[DeadLetter]:
    """The latest `limit` of them, newest first."""
    query = (
        select(*(dead_letters.c[name] for name in DeadLetter._fields))
        .where(_matches(wanted))
        .order_by(dead_letters.c.dead_at.desc(), dead_letters.c.id)
        .limit(limit)
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
    return [DeadLetter(*row)._replace(headers=from_json(row.headers)) for row in rows]


def load(database: Database, dead_letter_id: str) -> DeadLetter | None:
    """One by its id."""
    found = find(database, Filter(ids=[dead_letter_id]), limit=1)
    return found[0] if found else None


def count(database: Database, wanted: Filter) -> int:
    """How many there are."""
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(dead_letters).where(_matches(wanted))).scalar_one()


def redrive(
    database: Database,
    producer: Producer,
    names: Names,
    letters: Sequence[DeadLetter],
    topics: Container[str],
    now: float,
) -> Redriven:
    """Publish the original bytes to whoever gave them up, then mark them as redriven.

    In this order: a crash between the two sends some of them twice, and loses none. Those whose topic is not among
    `topics`, because their deployment has retired, stay open and hold up no other.
    """
    addressed = [(letter, _again(letter, names)) for letter in letters]
    sent = [(letter, message) for letter, message in addressed if message.topic in topics]
    for start in range(0, len(sent), REDRIVE_CHUNK):
        chunk = sent[start : start + REDRIVE_CHUNK]
        producer.publish([message for _, message in chunk])
        with database.write() as connection:
            connection.execute(
                update(dead_letters)
                .where(_matches(Filter(ids=[letter.id for letter, _ in chunk])))
                .values(state="redriven", redriven_at=wire_time(now))
            )
    return Redriven(sent, [(letter, message.topic) for letter, message in addressed if message.topic not in topics])


def purge(database: Database, wanted: Filter) -> int:
    """Delete them; returns how many."""
    with database.write() as connection:
        return connection.execute(delete(dead_letters).where(_matches(wanted))).rowcount


def deployment_of(group: str, endpoint: str, names: Names) -> str | None:
    """The deployment whose workers gave a message up; None where it was no worker's group."""
    deployment = group.removeprefix(names.workers(endpoint, ""))
    return None if deployment in {"", group} else deployment


def _again(letter: DeadLetter, names: Names) -> Message:
    """The letter as it is published again: its attempts begin afresh, and it is nobody's suspect."""
    deployment = deployment_of(letter.group_name, letter.endpoint, names)
    topic = letter.origin_topic if deployment is None else names.retries(letter.endpoint, deployment)
    headers = {name: value for name, value in letter.headers.items() if name not in {"alone", "attempt"}}
    headers["redrive"] = str(letter.redrive + 1)
    return Message(topic, letter.value, letter.key, headers)


def _matches(wanted: Filter) -> ColumnElement[bool]:
    table = dead_letters.c
    conditions: list[ColumnElement[bool]] = []
    if wanted.ids is not None:
        conditions.append(among(table.id, bindparam("wanted_ids", json_ids(wanted.ids))))
    if wanted.endpoint is not None:
        conditions.append(table.endpoint == wanted.endpoint)
    if wanted.group is not None:
        conditions.append(table.group_name == wanted.group)
    if wanted.state is not None:
        conditions.append(table.state == wanted.state)
    return and_(True, *conditions)
