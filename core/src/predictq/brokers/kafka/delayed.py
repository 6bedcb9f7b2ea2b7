"""Retries that are not due yet wait on a topic of their own, `<retry topic>.delays`.

Each of its partitions holds every message for the same time, the partition's step, so the first in it is always the
next to go, and one that waits long never stands before one that waits short. What is still early after its step goes
into the largest step that fits the rest, what is due into the retry topic; so a delay is made of a few steps, and is
late by the smallest step at most. Whichever member holds a partition moves what is due.
"""

from collections.abc import Mapping

from predictq.brokers.kafka.driver import Place
from predictq.brokers.kafka.records import HELD_UNTIL, NOT_BEFORE, PUBLISHED_AT
from predictq.brokers.kafka.topics import DELAYS_SUFFIX, delays_of
from predictq.brokers.port import Message, Record

__all__ = ["STEPS", "delayed_copy", "held_until", "marked", "moved_on", "step_for"]

STEPS = (0.1, 0.5, 2.0, 10.0, 60.0, 600.0)
"""Seconds that the partitions of a delays topic hold a message; the first is how late one may be."""


def marked(message: Message, published_at: float) -> Message:
    """With the time at which its original was published."""
    return message._replace(headers={**message.headers, PUBLISHED_AT: str(round(published_at * 1000))})


def delayed_copy(message: Message, published_at: float, after_seconds: float, now: float) -> Message:
    """The message for its own topic or, where it must wait, for the delays topic beside it."""
    message = marked(message, published_at)
    if after_seconds <= 0:
        return message
    not_before = str(round((now + after_seconds) * 1000))
    return message._replace(topic=delays_of(message.topic), headers={**message.headers, NOT_BEFORE: not_before})


def step_for(topic: str, headers: Mapping[str, str], now: float) -> tuple[Place, dict[str, str]]:
    """Where a message waits next, the largest step within its wait, and its headers for there."""
    until = _milliseconds(headers, NOT_BEFORE)
    wait = until / 1000 - now
    step = max((i for i, seconds in enumerate(STEPS) if seconds <= wait), default=0)
    held = min(until, round((now + STEPS[step]) * 1000))
    return Place(topic, step), {**headers, HELD_UNTIL: str(held)}


def held_until(record: Record) -> float:
    """When a record of a delays topic goes on, in Unix seconds."""
    return _milliseconds(record.headers, HELD_UNTIL) / 1000


def moved_on(record: Record, now: float) -> Message:
    """The record for its next step or, when it is due, for its retry topic."""
    headers = {**record.headers, PUBLISHED_AT: str(round(record.published_at * 1000))}
    headers.pop(HELD_UNTIL, None)
    topic = record.topic
    if _milliseconds(headers, NOT_BEFORE) / 1000 <= now:
        headers.pop(NOT_BEFORE, None)
        topic = topic.removesuffix(DELAYS_SUFFIX)
    return Message(topic, record.value, record.key, headers)


def _milliseconds(headers: Mapping[str, str], name: str) -> int:
    """0 for what is no time: then it goes on at once."""
    text = headers.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 16 else 0
