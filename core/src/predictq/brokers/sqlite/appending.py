"""Appending messages to their partitions, inside somebody's transaction."""

from collections.abc import Mapping, Sequence
from itertools import repeat

import apsw
from pydantic_core import to_json

from predictq.brokers.port import Message
from predictq.brokers.sqlite.schema import statement
from predictq.brokers.sqlite.topics import Topics, unknown_topic
from predictq.errors import MessageTooLarge

__all__ = ["MAX_MESSAGE_BYTES", "Plan", "append", "encode_headers", "plan"]

MAX_MESSAGE_BYTES = 16 * 1024 * 1024 - 64 * 1024
_SHORTEST_RUN = 16

_RESERVE = "UPDATE partitions SET next = next + ?2 WHERE tp = ?1 RETURNING next"
_INSERT = "INSERT INTO records_N(off, value, key, headers, ts) VALUES(?, ?, ?, ?, ?)"

Plan = dict[int, list[Message]]
"""What goes to which partition, in order."""


def encode_headers(headers: Mapping[str, str]) -> bytes | None:
    """A JSON object; None when empty."""
    return to_json(dict(headers)) if headers else None


def plan(messages: Sequence[Message], topics: Topics) -> Plan:
    """Which message goes where: by key, and those without one in runs over the topic's partitions.

    Raises UserMistake for an unknown topic and MessageTooLarge.
    """
    if messages and max([len(message[1]) for message in messages]) > MAX_MESSAGE_BYTES:
        raise _too_large(messages)
    planned: Plan = {}
    keyless: dict[str, list[Message]] = {}
    for message in messages:
        topic, _, key, _ = message
        if key is None:
            if topic in keyless:
                keyless[topic].append(message)
            else:
                keyless[topic] = [message]
        else:
            planned.setdefault(topics[topic].of_key(key), []).append(message)
    for name, run in keyless.items():
        topic_ = topics[name]
        step = max(_SHORTEST_RUN, -(-len(run) // len(topic_.tps)))
        for at in range(0, len(run), step):
            planned.setdefault(topic_.in_turn(), []).extend(run[at : at + step])
    return planned


def append(db: apsw.Connection, planned: Plan, topics: Topics, now: float) -> None:
    """Write them all, published at `now`. Raises UserMistake when a topic has been removed meanwhile."""
    for tp, messages in planned.items():
        end = db.execute(_RESERVE, (tp, len(messages))).fetchone()
        if end is None:
            topics.forget()
            raise unknown_topic(messages[0].topic)
        _, values, keys, headers = zip(*messages, strict=True)
        offsets = range(end[0] - len(messages), end[0])
        packed = map(encode_headers, headers) if any(headers) else repeat(None)
        db.executemany(statement(_INSERT, tp), zip(offsets, values, keys, packed, repeat(now)))


def _too_large(messages: Sequence[Message]) -> MessageTooLarge:
    largest = max(messages, key=lambda message: len(message.value))
    return MessageTooLarge(topic=largest.topic, size=len(largest.value), limit=MAX_MESSAGE_BYTES)
