"""Retries that are not due yet: a table from which whoever polls moves what is due into the retry topic."""

from collections.abc import Sequence
from typing import NamedTuple

import apsw

from predictq.brokers.port import Message
from predictq.brokers.sqlite.appending import encode_headers
from predictq.brokers.sqlite.connection import Connection, fetch
from predictq.brokers.sqlite.schema import statement
from predictq.brokers.sqlite.topics import Topics

__all__ = ["Later", "delay", "move_due", "next_due"]

_MOST_AT_ONCE = 1_000

_INSERT = "INSERT INTO delayed(topic, due, value, key, headers, ts) VALUES(?, ?, ?, ?, ?, ?)"
_DUE = "SELECT id, key FROM delayed WHERE topic=?1 AND due<=?2 ORDER BY due, id LIMIT ?3"
_RESERVE = "UPDATE partitions SET next = next + 1 WHERE tp = ?1 RETURNING next - 1"
_MOVE = """
INSERT INTO records_N(off, value, key, headers, ts) SELECT ?2, value, key, headers, ts FROM delayed WHERE id=?1
"""
_DELETE = "DELETE FROM delayed WHERE id=?1"


class Later(NamedTuple):
    """A message that becomes visible at `due`; both times in Unix seconds."""

    message: Message
    due: float
    published_at: float


def delay(db: apsw.Connection, later: Sequence[Later]) -> None:
    """Write them, inside somebody's transaction."""
    db.executemany(
        _INSERT,
        [
            (message.topic, due, message.value, message.key, encode_headers(message.headers), published_at)
            for message, due, published_at in later
        ],
    )


def next_due(connection: Connection, topic: str) -> float | None:
    """When the next one of the topic is due, in Unix seconds."""
    due: float | None = connection.rows("SELECT min(due) FROM delayed WHERE topic=?", (topic,))[0][0]
    return due


def move_due(connection: Connection, topics: Topics, topic: str, now: float) -> None:
    """Move what is due into the topic; they keep their publish time."""
    partitions = topics[topic]
    with connection.transaction(durable=False) as db:
        for identifier, key in fetch(db, _DUE, (topic, now, _MOST_AT_ONCE)):
            tp = partitions.in_turn() if key is None else partitions.of_key(key)
            offset = db.execute(_RESERVE, (tp,)).fetchone()
            if offset is None:
                topics.forget()
                return
            db.execute(statement(_MOVE, tp), (identifier, offset[0]))
            db.execute(_DELETE, (identifier,))
