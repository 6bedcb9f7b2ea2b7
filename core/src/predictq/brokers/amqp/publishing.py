"""Messages out, and the server's confirms of them."""

import secrets
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any

from predictq.brokers.amqp.confirming import Publication
from predictq.brokers.amqp.connection import Connection, Line
from predictq.brokers.amqp.frames import Envelope, publishing
from predictq.brokers.amqp.properties import FLAGS, Own, pack_headers
from predictq.brokers.amqp.topics import Route, Topics
from predictq.brokers.amqp.wire import Arrival, Wire
from predictq.brokers.port import NO_HEADERS, Message
from predictq.errors import BrokerUnavailable, MessageTooLarge, PredictqError, UserMistake

__all__ = ["MAX_MESSAGE_BYTES", "Outbox", "Publisher"]

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""RabbitMQ 4 takes 16 MiB unless it is configured otherwise; a quorum queue, which keeps each message several times
over in log and memory, is no place for more than half of that."""

_JSON = b"application/cloudevents+json"
_BYTES = b"application/octet-stream"
_BEFORE = {kind: struct.pack(">HB", FLAGS, len(kind)) + kind for kind in (_JSON, _BYTES)}
_BEFORE_JSON, _BEFORE_BYTES = _BEFORE[_JSON], _BEFORE[_BYTES]
_BRACE = ord("{")


class Outbox:
    """Messages that are being packed, to be sent as one block."""

    __slots__ = ("count", "parts")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.count = 0


class Publisher:
    """A channel in confirm mode. Used by one thread, beside the connection's own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.topics = Topics(connection)
        self._line: Line | None = None
        self._routes: dict[str, Route] = {}
        self._channel = 0
        self._body_bytes = 0
        self._tag = 0
        self._publications: list[Publication] = []
        self._base = secrets.token_hex(6)
        self._number = 0

    def open(self) -> None:
        """Have a channel; does nothing where there is one."""
        self._connection.open()
        if self._line is not None and self._line.is_open:
            return
        line = self._connection.line()
        line.ask("confirm_delivery", ack_nack_callback=_unused)
        line.on_end = self._ended
        line.listen(self)
        self._connection.run(lambda _: line.channel.add_on_return_callback(self._on_return))
        self._body_bytes = self._connection.run(lambda wire: wire.body_bytes)
        self._line, self._channel, self._tag = line, line.number, 0
        self._routes.clear()
        self._publications = []

    def pack(self, outbox: Outbox, messages: Sequence[Message]) -> None:
        """Add messages for topics. Raises UserMistake for an unknown topic and MessageTooLarge."""
        if messages and max([len(message[1]) for message in messages]) > MAX_MESSAGE_BYTES:
            raise _too_large(messages)
        at_ms = int(time.time() * 1000)
        bare = pack_headers(NO_HEADERS, Own(at_ms))
        routes, channel, body_bytes = self._routes, self._channel, self._body_bytes
        for topic, value, key, headers in messages:
            route = routes.get(topic)
            if route is None:
                route = routes[topic] = self.topics.route(topic, channel)
            if key is None:
                envelope = route.in_turn()
                table = pack_headers(headers, Own(at_ms)) if headers else bare
            else:
                envelope = route.of_key(key)
                table = pack_headers(headers, Own(at_ms, key))
            self._number += 1
            own_id = b"%b-%x" % (self._base.encode(), self._number)
            before = _BEFORE_JSON if value and value[0] == _BRACE else _BEFORE_BYTES
            properties = b"%b%b\x02%c%b" % (before, table, len(own_id), own_id)
            outbox.parts += publishing(channel, envelope, properties, value, body_bytes)
        outbox.count += len(messages)

    def pack_copy(
        self, outbox: Outbox, queue: str, value: bytes, headers: Mapping[str, str], own: Own, message_id: str
    ) -> None:
        """Add a copy of a message that was handed out, straight for a queue."""
        own_id = message_id.encode()[:255]
        before = _BEFORE_JSON if value[:1] == b"{" else _BEFORE_BYTES
        properties = b"%b%b\x02%c%b" % (before, pack_headers(headers, own), len(own_id), own_id)
        envelope = Envelope(self._channel, "", queue, mandatory=True)
        outbox.parts += publishing(self._channel, envelope, properties, value, self._body_bytes)
        outbox.count += 1

    def send(self, outbox: Outbox) -> Publication:
        """Send what is packed. Raises BrokerUnavailable, with nothing sent, while the server takes nothing."""
        self._wait_until_unblocked()
        publication = Publication(self._tag + 1, outbox.count)
        self._tag += outbox.count
        block = b"".join(outbox.parts)
        line = self._line

        def now(wire: Wire) -> None:
            if line is None or not line.is_open:
                publication.error = BrokerUnavailable(f"broker {self._connection.place.shown}: the channel was lost")
                publication.over.set()
                return
            self._publications.append(publication)
            wire.emit(block)

        self._connection.soon(now)
        return publication

    def wait(self, publication: Publication) -> None:
        """Until the server has confirmed all. Raises what is in the way of that; some may be durable then."""
        seconds = self._connection.place.options.answer_timeout_seconds
        deadline = time.monotonic() + seconds
        while not publication.over.wait(min(1.0, seconds)):
            if not self._connection.is_open and not publication.over.is_set():
                raise publication.error or BrokerUnavailable(
                    f"broker {self._connection.place.shown}: the connection was lost before all was confirmed"
                )
            if time.monotonic() >= deadline:
                raise self._stalled(seconds)
        if publication.error is not None:
            if isinstance(publication.error, UserMistake):
                self.forget()
            raise publication.error
        if publication.returned:
            self._unroutable(publication.returned)
        if publication.refused:
            raise BrokerUnavailable(
                f"broker {self._connection.place.shown}: the server refused {len(publication.refused)} messages; a "
                "queue has reached the length that a policy allows, or has lost its majority"
            )

    def forget(self) -> None:
        """What was known about topics may be wrong."""
        self.topics.forget()
        self._routes.clear()

    def arrived(self, _arrival: Arrival) -> None:
        """Nothing is consumed on this channel."""

    def nothing(self) -> None:
        """Nothing is asked for on this channel."""

    def heard(self) -> None:
        """Confirms wake whoever waits by themselves."""

    def confirmed(self, tag: int, *, multiple: bool, good: bool) -> None:
        """On the connection's thread."""
        publications = self._publications
        for publication in publications:
            if publication.first > tag:
                break
            publication.confirmed(tag, multiple=multiple, good=good)
        while publications and publications[0].over.is_set():
            publications.pop(0)

    def _on_return(self, _channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
        # The server returns before it confirms, so it is of one that is not confirmed yet. Of which, does not matter:
        # what is wrong is the topology.
        for publication in self._publications:
            publication.returned.append(method.exchange or f"queue {method.routing_key}")

    def _ended(self, error: PredictqError) -> None:
        for publication in self._publications:
            publication.error = error
            publication.over.set()
        self._publications.clear()

    def _wait_until_unblocked(self) -> None:
        seconds = self._connection.place.options.answer_timeout_seconds
        if not self._connection.unblocked.wait(seconds):
            raise self._stalled(seconds)

    def _stalled(self, seconds: float) -> BrokerUnavailable:
        shown = self._connection.place.shown
        if self._connection.blocked is not None:
            return BrokerUnavailable(
                f"broker {shown}: the server has taken no messages for {seconds:g} s because of an alarm "
                f"({self._connection.blocked}); make room, nothing that was accepted is lost"
            )
        return BrokerUnavailable(f"broker {shown}: the server confirmed no messages within {seconds:g} s")

    def _unroutable(self, returned: Sequence[str]) -> None:
        """Raises UserMistake, unless the topic's groups are gone on purpose."""
        self.forget()
        lost = [name for name in returned if name.startswith("queue ") or self.topics.is_read(name)]
        if lost:
            raise UserMistake(
                f"broker {self._connection.place.shown}: {len(lost)} messages for {lost[0]} are unroutable, a queue "
                "or its binding is missing; `predictq topics ensure` creates it"
            )


def _unused(_frame: Any) -> None:
    """Confirms are read on the quick path."""


def _too_large(messages: Sequence[Message]) -> MessageTooLarge:
    largest = max(messages, key=lambda message: len(message.value))
    return MessageTooLarge(topic=largest.topic, size=len(largest.value), limit=MAX_MESSAGE_BYTES)
