"""Deleting what every group has settled and the topic's retention has let go, now and then, on behalf of a consumer."""

import time

from predictq.brokers.redis.connection import RedisConnection
from predictq.brokers.redis.scripts import TRIM
from predictq.brokers.redis.topics import Topics

__all__ = ["Trimmer"]

_SECONDS_BETWEEN = 1.0


class Trimmer:
    """Trims the topics that a consumer reads; what nobody reads is settled by nobody."""

    def __init__(self, connection: RedisConnection, names: tuple[str, ...]) -> None:
        self._connection = connection
        self._names = names
        self._topics = Topics(connection)
        self._next_at = 0.0

    def trim(self) -> None:
        """Does something once a second at most."""
        now = time.monotonic()
        if now < self._next_at:
            return
        self._next_at = now + _SECONDS_BETWEEN
        # The retention may have been changed since this consumer was made.
        self._topics.forget()
        topics = [self._topics[name] for name in self._names]
        streams = [(stream, round(topic.retention_seconds * 1000)) for topic in topics for stream in topic.streams]
        self._connection.run(TRIM, [stream for stream, _ in streams], [kept for _, kept in streams])
