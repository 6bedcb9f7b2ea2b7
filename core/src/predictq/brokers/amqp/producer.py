"""Publishing: one block of frames a call, and a wait for the confirms."""

from collections.abc import Sequence

from predictq.brokers.amqp.connection import Connection
from predictq.brokers.amqp.options import Place
from predictq.brokers.amqp.publishing import Outbox, Publisher
from predictq.brokers.port import Message
from predictq.errors import BrokerUnavailable, PublishError

__all__ = ["AmqpProducer"]


class AmqpProducer:
    """Puts messages on topics. Connects again when it is next used after the server was away."""

    def __init__(self, place: Place) -> None:
        self._connection = Connection(place, "predictq-producer", place.options.heartbeat_seconds)
        self._publisher = Publisher(self._connection)

    def publish(self, messages: Sequence[Message]) -> None:
        """Return when the server has confirmed all: each queue that they reach has them on a majority of its disks."""
        if not messages:
            return
        self._publisher.open()
        outbox = Outbox()
        self._publisher.pack(outbox, messages)
        publication = self._publisher.send(outbox)
        try:
            self._publisher.wait(publication)
        except BrokerUnavailable as error:
            raise PublishError(str(error), publication.failed) from error

    def close(self) -> None:
        """Close the connection; may be called again."""
        self._connection.close()
