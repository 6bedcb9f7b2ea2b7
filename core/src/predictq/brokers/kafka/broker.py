"""A Kafka cluster."""

import re

from predictq.brokers.kafka.admin import KafkaAdmin
from predictq.brokers.kafka.broadcast import KafkaBroadcast
from predictq.brokers.kafka.consumer import KafkaConsumer
from predictq.brokers.kafka.driver import Driver
from predictq.brokers.kafka.options import Options
from predictq.brokers.kafka.producer import KafkaProducer
from predictq.brokers.port import Guarantees, Subscription
from predictq.errors import UserMistake

__all__ = ["KafkaBroker"]

_INSTANCE = re.compile(r"[A-Za-z0-9._-]{1,200}")


class KafkaBroker:
    """Opens connections to one cluster, each for one producer, consumer or admin."""

    def __init__(self, driver: Driver, options: Options) -> None:
        self.max_message_bytes = options.message_max_bytes
        self.guarantees = Guarantees(
            atomic_settle=options.transactions,
            ordered=True,
            replays=True,
            exact_redeliveries=True,
            # A transaction leaves marks of its own among the offsets.
            exact_lag=not options.transactions,
            claims_outlive_their_time=False,
            retention="age",
            hold_seconds=None,
            batches_in_hand=options.batches_in_hand,
        )
        self._driver = driver
        self._options = options

    def producer(self) -> KafkaProducer:
        """Puts messages on topics."""
        return KafkaProducer(self._driver, self._options)

    def consumer(self, subscription: Subscription) -> KafkaConsumer | KafkaBroadcast:
        """Reads topics. Raises BrokerUnavailable, and UserMistake for a topic or group that does not exist."""
        if subscription.retry_topic is not None and subscription.retry_topic not in subscription.topics:
            raise ValueError(f"the retry topic {subscription.retry_topic} is not among the topics that are read")
        if subscription.instance is not None and not _INSTANCE.fullmatch(subscription.instance):
            raise UserMistake(
                f"instance {subscription.instance!r} is no name for a member of a Kafka group; letters, digits, dots, "
                "dashes and underscores would be right, 200 at most"
            )
        if subscription.group is None:
            return KafkaBroadcast(self._driver, self._options, subscription)
        return KafkaConsumer(self._driver, self._options, subscription, subscription.group)

    def admin(self) -> KafkaAdmin:
        """Creates and looks at topics and groups."""
        return KafkaAdmin(self._driver, self._options)

    def close(self) -> None:
        """Nothing is held by the broker itself."""
