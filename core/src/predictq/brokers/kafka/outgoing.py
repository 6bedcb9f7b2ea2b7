"""From messages to rows, and what becomes of rows that did not arrive."""

import time
from collections.abc import Mapping, Sequence

from predictq.brokers.kafka.delayed import step_for
from predictq.brokers.kafka.driver import Failure, Row, UnknownTopic
from predictq.brokers.kafka.options import RECORD_OVERHEAD_BYTES
from predictq.brokers.kafka.records import NOT_BEFORE, packed
from predictq.brokers.kafka.topics import Topics, is_internal, unknown_topic
from predictq.brokers.port import Message
from predictq.errors import BrokerUnavailable, MessageTooLarge, PublishError, UserMistake

__all__ = ["mistake_among", "plan", "unpublished"]

_NONE: list[tuple[str, bytes]] = []


def plan(messages: Sequence[Message], topics: Topics, max_message_bytes: int) -> list[Row]:
    """A row for each message. Raises MessageTooLarge or UserMistake, and then nothing is sent."""
    new, place = tuple.__new__, topics.place
    rows: list[Row] = []
    for topic, value, key, headers in messages:
        if len(value) > max_message_bytes:
            raise MessageTooLarge(topic=topic, size=len(value), limit=max_message_bytes)
        if not headers:
            rows.append(new(Row, (place(topic, key), value, key, _NONE)))
        elif NOT_BEFORE in headers and is_internal(topic):
            where, all_headers = step_for(topic, headers, time.time())
            rows.append(Row(where, value, key, _headers(all_headers, topic)))
        else:
            rows.append(Row(place(topic, key), value, key, _headers(headers, topic)))
    return rows


def _headers(headers: Mapping[str, str], topic: str) -> list[tuple[str, bytes]]:
    ours = packed(headers)
    size = sum(len(name) + len(value) for name, value in ours)
    if size > RECORD_OVERHEAD_BYTES // 2:
        raise MessageTooLarge(topic=topic, size=size, limit=RECORD_OVERHEAD_BYTES // 2)
    return ours


def mistake_among(failures: Sequence[Failure]) -> Exception | None:
    """What the caller must mend, if anything: trying again would change nothing."""
    for _, error in failures:
        if isinstance(error, UnknownTopic):
            return unknown_topic(str(error))
        if isinstance(error, UserMistake | MessageTooLarge):
            return error
    return None


def unpublished(failures: Sequence[Failure], count: int) -> PublishError:
    """For rows that may arrive when they are sent again."""
    error = failures[0].error
    what = error if isinstance(error, BrokerUnavailable) else f"{type(error).__name__}: {error}"
    return PublishError(
        f"{len(failures)} of {count} messages are not known to be durable: {what}",
        [failure.row for failure in failures],
    )
