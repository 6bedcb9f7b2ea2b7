"""The embedded broker."""

from predictq.brokers.port import Guarantees, Subscription
from predictq.brokers.sqlite.admin import SqliteAdmin
from predictq.brokers.sqlite.appending import MAX_MESSAGE_BYTES
from predictq.brokers.sqlite.connection import Connection, Place
from predictq.brokers.sqlite.consumer import SqliteConsumer
from predictq.brokers.sqlite.producer import SqliteProducer

__all__ = ["SqliteBroker"]

GUARANTEES = Guarantees(
    atomic_settle=True,
    ordered=True,
    replays=True,
    exact_redeliveries=True,
    exact_lag=True,
    claims_outlive_their_time=True,
    retention="settled",
    hold_seconds=None,
    batches_in_hand=1,
)


class SqliteBroker:
    """Opens connections to one place, each for one producer, consumer or admin."""

    def __init__(self, place: Place) -> None:
        self.max_message_bytes = MAX_MESSAGE_BYTES
        self.guarantees = GUARANTEES
        self._place = place
        # A database in memory lives as long as one connection to it is open.
        self._anchor = Connection(place) if place.in_memory else None

    def producer(self) -> SqliteProducer:
        """Puts messages on topics. Raises BrokerUnavailable, or UserMistake for a file that is no broker's."""
        return SqliteProducer(self._place)

    def consumer(self, subscription: Subscription) -> SqliteConsumer:
        """Reads topics. Raises as `producer` does."""
        return SqliteConsumer(self._place, subscription)

    def admin(self) -> SqliteAdmin:
        """Creates and looks at topics and groups. Raises as `producer` does."""
        return SqliteAdmin(self._place)

    def close(self) -> None:
        """Let go of what the broker itself holds; may be called again."""
        if self._anchor is not None:
            self._anchor.close()
