"""What a verdict writes: retry copies and dead letters, the same on every broker."""

from collections.abc import Mapping

from predictq.brokers.port import Message, Record
from predictq.clock import wire_time
from predictq.names import dead_letters_of

__all__ = ["dead_letter", "isolated_copy", "retry_copy"]


def retry_copy(record: Record, retry_topic: str) -> Message:
    """The record again, its attempt raised."""
    return _copy(record, retry_topic, {"attempt": str(record.attempt + 1)})


def isolated_copy(record: Record, retry_topic: str) -> Message:
    """The record again, marked `alone`."""
    return _copy(record, retry_topic, {"alone": "1"})


def dead_letter(record: Record, group: str, reason: str, now: float) -> Message:
    """The original bytes with group, reason, attempts and place of origin in the headers."""
    origin = {
        "dead-group": group,
        "dead-reason": reason[:4096],
        "dead-attempts": str(record.attempt),
        "dead-redeliveries": str(record.redeliveries),
        "dead-topic": record.topic,
        "dead-partition": str(record.partition),
        "dead-position": record.position,
        "dead-published-at": wire_time(record.published_at),
        "dead-at": wire_time(now),
    }
    return _copy(record, dead_letters_of(record.topic), origin)


def _copy(record: Record, topic: str, changed: Mapping[str, str]) -> Message:
    return Message(topic, record.value, record.key, {**record.headers, **changed})
