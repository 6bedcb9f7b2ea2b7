"""The broker on Redis Streams."""

from predictq.brokers.port import Guarantees, Subscription
from predictq.brokers.redis.admin import RedisAdmin
from predictq.brokers.redis.appending import MAX_MESSAGE_BYTES
from predictq.brokers.redis.consumer import BATCHES_IN_HAND, RedisConsumer
from predictq.brokers.redis.options import Place
from predictq.brokers.redis.producer import RedisProducer

__all__ = ["RedisBroker"]

GUARANTEES = Guarantees(
    atomic_settle=True,
    ordered=False,
    replays=True,
    exact_redeliveries=True,
    exact_lag=True,
    claims_outlive_their_time=True,
    retention="settled",
    hold_seconds=None,
    batches_in_hand=BATCHES_IN_HAND,
)


class RedisBroker:
    """Opens connections to one server, each for one producer, consumer or admin."""

    def __init__(self, place: Place) -> None:
        self.max_message_bytes = MAX_MESSAGE_BYTES
        self.guarantees = GUARANTEES
        self._place = place

    def producer(self) -> RedisProducer:
        """Puts messages on topics; connects when it first publishes."""
        return RedisProducer(self._place)

    def consumer(self, subscription: Subscription) -> RedisConsumer:
        """Reads topics; connects when it first polls, a broadcast at once. Raises BrokerUnavailable or UserMistake."""
        return RedisConsumer(self._place, subscription)

    def admin(self) -> RedisAdmin:
        """Creates and looks at topics and groups; connects when it is first asked."""
        return RedisAdmin(self._place)

    def close(self) -> None:
        """Nothing is open that its producers, consumers and admins do not close."""
