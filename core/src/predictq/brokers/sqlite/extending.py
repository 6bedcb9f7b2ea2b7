"""Keeping a claim while the consumer's own thread is busy with the batch."""

import threading
from collections.abc import Sequence

from predictq.brokers.port import Subscription
from predictq.brokers.sqlite.assignment import sign_of_life
from predictq.brokers.sqlite.connection import Connection, Place

__all__ = ["Extender"]

_MINE = "SELECT 1 FROM offsets WHERE g=? AND tp=? AND owner=? AND epoch=?"


class Extender:
    """Gives signs of life from another thread, over a connection of its own, opened when it is first needed."""

    def __init__(self, place: Place, subscription: Subscription) -> None:
        self._place = place
        self._subscription = subscription
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def extend(self, claims: Sequence[tuple[int, int]]) -> bool:
        """Renew; False when one of the claims (partition's number, epoch) has passed to another."""
        group, member = self._subscription.group, self._subscription.member
        if group is None:
            return True
        with self._lock:
            if self._connection is None:
                self._connection = Connection(self._place)
            sign_of_life(self._connection, self._subscription, group)
            return all(self._connection.rows(_MINE, (group, tp, member, epoch)) for tp, epoch in claims)

    def close(self) -> None:
        """Close the connection; may be called again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
