"""What a consumer publishes: outputs, retries and dead letters of what it settles, and what has become due."""

from collections.abc import Sequence

from predictq.brokers.kafka.driver import Row, Sender
from predictq.brokers.kafka.options import Options
from predictq.brokers.kafka.outgoing import mistake_among, plan, unpublished
from predictq.brokers.kafka.topics import Topics
from predictq.brokers.port import Message

__all__ = ["Emitter"]


class Emitter:
    """Returns when everything is durable. Raises as a producer does."""

    def __init__(self, sender: Sender, topics: Topics, options: Options) -> None:
        self._sender = sender
        self._topics = topics
        self._options = options
        self._unsent: list[Row] | None = None
        """Of a settlement that did not come to its end: rows that are not known to be durable."""

    def publish(self, messages: Sequence[Message]) -> None:
        """All of them, whatever was sent before."""
        rows = self._rows(messages)
        if failures := self._sender.send(rows, self._options.request_seconds):
            raise mistake_among(failures) or unpublished(failures, len(rows))

    def emit(self, messages: Sequence[Message]) -> None:
        """What a settlement emits. What was durable after an attempt that failed is not sent by the next."""
        if self._unsent is None:
            self._unsent = self._rows(messages)
        rows = self._unsent
        failures = self._sender.send(rows, self._options.request_seconds) if rows else ()
        if failures:
            self._topics.forget()
            if mistake := mistake_among(failures):
                self._unsent = None
                raise mistake
            self._unsent = [rows[failure.row] for failure in failures]
            raise unpublished(failures, len(rows))
        self._unsent = []

    def settled(self) -> None:
        """The settlement has come to its end; the next one emits its own."""
        self._unsent = None

    def _rows(self, messages: Sequence[Message]) -> list[Row]:
        return plan(messages, self._topics, self._options.message_max_bytes)
