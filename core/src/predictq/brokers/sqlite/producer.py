"""Publishing: one transaction a call."""

import time
from collections.abc import Sequence

from predictq.brokers.port import Message
from predictq.brokers.sqlite.appending import append, plan
from predictq.brokers.sqlite.bell import bell_of
from predictq.brokers.sqlite.connection import Connection, Place
from predictq.brokers.sqlite.topics import Topics

__all__ = ["SqliteProducer"]


class SqliteProducer:
    """Puts messages on topics; all of a call or none."""

    def __init__(self, place: Place) -> None:
        self._connection = Connection(place)
        self._topics = Topics(self._connection)
        self._bell = bell_of(place.filename)

    def publish(self, messages: Sequence[Message]) -> None:
        """Return when all are on disk. Raises BrokerUnavailable when none is."""
        if not messages:
            return
        planned = plan(messages, self._topics)
        with self._connection.transaction(durable=True) as db:
            append(db, planned, self._topics, time.time())
        self._bell.ring()

    def close(self) -> None:
        """Close the connection; may be called again."""
        self._connection.close()
