"""What other threads ask for while the consumer's own thread is busy or waits."""

import logging
import threading
from collections.abc import Sequence

from predictq.brokers.port import Subscription
from predictq.brokers.redis.assignment import sign_words
from predictq.brokers.redis.connection import RedisConnection, Word
from predictq.brokers.redis.options import Place
from predictq.brokers.redis.reading import Run
from predictq.brokers.redis.scripts import EXTEND, SIGN
from predictq.errors import BrokerUnavailable

__all__ = ["Extender", "extend"]

log = logging.getLogger(__name__)


class Extender:
    """Over a connection of its own: gives signs of life with a batch in hand, and ends the consumer's waits."""

    def __init__(self, place: Place, subscription: Subscription) -> None:
        self._subscription = subscription
        self._lock = threading.Lock()
        self._connection = RedisConnection(place)

    def extend(self, runs: Sequence[Run]) -> bool:
        """Renew; False when some of the entries have passed to another."""
        s = self._subscription
        if s.group is None:
            return True
        with self._lock:
            return extend(self._connection, s, s.group, runs)

    def unblock(self, identifier: int) -> None:
        """End the wait of the connection with this identifier."""
        with self._lock:
            try:
                self._connection.call("CLIENT", "UNBLOCK", identifier)
            except BrokerUnavailable as error:
                # Its waits are short: it comes back by itself.
                log.debug("a waiting poll could not be woken: %s", error)

    def close(self) -> None:
        """Close the connection; may be called again."""
        with self._lock:
            self._connection.close()


def extend(connection: RedisConnection, subscription: Subscription, group: str, runs: Sequence[Run]) -> bool:
    """A sign of life, and a renewed claim on these entries; False when some have passed to another."""
    words: list[Word] = [group, subscription.member, round(subscription.claim_seconds * 1000)]
    ids: dict[str, list[bytes]] = {}
    for run in runs:
        ids.setdefault(run.source.stream, []).extend(run.ids)
    for its_ids in ids.values():
        words.append(len(its_ids))
        words += its_ids
    connection.run(SIGN, *sign_words(group, subscription))
    return not connection.run(EXTEND, list(ids), words)
