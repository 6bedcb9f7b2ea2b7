"""Quorum queues on RabbitMQ."""

import time
from collections.abc import Iterable, Iterator, Sequence

import pika

__all__ = ["AmqpCount", "AmqpGround"]

SECONDS = 60.0
PERSISTENT = pika.BasicProperties(delivery_mode=2)


class AmqpCount:
    """Messages that wait in a queue, by one round trip."""

    def __init__(self, url: str, queue: str) -> None:
        self._connection = _connected(url)
        self._channel = self._connection.channel()
        self._queue = queue

    def __call__(self) -> int:
        return int(self._channel.queue_declare(self._queue, passive=True).method.message_count)

    def close(self) -> None:
        self._connection.close()


class AmqpGround:
    """Durable quorum queues `NAME.requests` and `NAME.predictions` on the default exchange."""

    def __init__(self, url: str, name: str) -> None:
        self._connection = _connected(url)
        self._channel = self._connection.channel()
        self._input, self._output = f"{name}.requests", f"{name}.predictions"
        for queue in (self._input, self._output):
            self._channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
        self.emitted = AmqpCount(url, self._output)
        self._waiting = AmqpCount(url, self._input)

    def fill(self, calls: Iterable[Sequence[bytes]]) -> None:
        """Without confirms; the queue is counted instead."""
        sent = 0
        for values in calls:
            for value in values:
                self._channel.basic_publish("", self._input, value, PERSISTENT)
            sent += len(values)
        deadline = time.monotonic() + SECONDS
        while (held := self._waiting()) < sent:
            if time.monotonic() > deadline:
                raise RuntimeError(f"amqp: {held} of {sent} messages arrived")
            self._connection.sleep(0.05)

    def outputs(self) -> Iterator[bytes]:
        """Takes all messages from the queue."""
        left = self.emitted()
        if not left:
            return
        for _, _, body in self._channel.consume(self._output, auto_ack=True, inactivity_timeout=SECONDS):
            if body is None:
                raise RuntimeError(f"amqp: {left} messages could not be read back")
            yield body
            left -= 1
            if not left:
                break
        self._channel.cancel()

    def close(self) -> None:
        """Delete both queues."""
        self.emitted.close()
        self._waiting.close()
        for queue in (self._input, self._output):
            self._channel.queue_delete(queue)
        self._connection.close()


def _connected(url: str) -> pika.BlockingConnection:
    parameters = pika.URLParameters(url)
    # Nobody answers between two looks.
    parameters.heartbeat = 0
    return pika.BlockingConnection(parameters)
