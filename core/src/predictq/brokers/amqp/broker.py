"""RabbitMQ as the broker."""

from predictq.brokers.amqp.active import ActiveMembers
from predictq.brokers.amqp.admin import AmqpAdmin
from predictq.brokers.amqp.broadcast import AmqpBroadcast
from predictq.brokers.amqp.consumer import AmqpConsumer
from predictq.brokers.amqp.options import Place
from predictq.brokers.amqp.outlived import Outlived
from predictq.brokers.amqp.producer import AmqpProducer
from predictq.brokers.amqp.publishing import MAX_MESSAGE_BYTES
from predictq.brokers.port import Consumer, Guarantees, Subscription

__all__ = ["AmqpBroker"]


class AmqpBroker:
    """Opens connections to one place, each for one producer, consumer or admin."""

    def __init__(self, place: Place) -> None:
        self.max_message_bytes = MAX_MESSAGE_BYTES
        self.guarantees = Guarantees(
            atomic_settle=False,
            ordered=False,
            replays=False,
            exact_redeliveries=False,
            exact_lag=False,
            claims_outlive_their_time=False,
            retention="none",
            hold_seconds=place.options.consumer_timeout_seconds,
            batches_in_hand=1,
        )
        self._place = place
        self._active = ActiveMembers()
        self._outlived = Outlived()

    def producer(self) -> AmqpProducer:
        """Puts messages on topics; connects at its first use."""
        return AmqpProducer(self._place)

    def consumer(self, subscription: Subscription) -> Consumer:
        """Reads topics. Raises BrokerUnavailable, or UserMistake for what cannot be entered or does not exist."""
        if subscription.retry_topic is not None and subscription.retry_topic not in subscription.topics:
            raise ValueError(f"the retry topic {subscription.retry_topic} is not among the topics that are read")
        if subscription.group is None:
            return AmqpBroadcast(self._place, subscription)
        return AmqpConsumer(self._place, subscription, subscription.group, self._active, self._outlived)

    def admin(self) -> AmqpAdmin:
        """Creates and looks at topics and groups; connects at its first use."""
        return AmqpAdmin(self._place, self._active)

    def close(self) -> None:
        """The broker itself holds nothing; may be called again."""
