"""Publishing: one flush a call."""

from collections.abc import Sequence

from predictq.brokers.kafka.driver import Driver
from predictq.brokers.kafka.options import Options
from predictq.brokers.kafka.outgoing import mistake_among, plan, unpublished
from predictq.brokers.kafka.topics import Topics
from predictq.brokers.port import Message

__all__ = ["KafkaProducer"]


class KafkaProducer:
    """Puts messages on topics; connects at the first call."""

    def __init__(self, driver: Driver, options: Options) -> None:
        self._options = options
        self._sender = driver.sender()
        self._topics = Topics(self._sender)

    def publish(self, messages: Sequence[Message]) -> None:
        """Return when all are durable. Raises PublishError, which says which are not."""
        if not messages:
            return
        rows = plan(messages, self._topics, self._options.message_max_bytes)
        failures = self._sender.send(rows, self._options.request_seconds)
        if failures:
            self._topics.forget()
            raise mistake_among(failures) or unpublished(failures, len(rows))

    def close(self) -> None:
        """Let go of the connection; may be called again."""
        self._sender.close()
