"""What confluent-kafka has fetched becomes ours here, in whole batches."""

from collections.abc import Callable, Sequence

from confluent_kafka import Consumer, Message

from predictq.brokers.kafka.driver import Evicted, Fetched, Place, UnknownTopic
from predictq.brokers.kafka.drivers.confluent_errors import UNKNOWN_TOPIC, ours, translated
from predictq.brokers.kafka.drivers.confluent_settings import Noise
from predictq.brokers.kafka.records import unpacked
from predictq.brokers.port import NO_HEADERS, Record
from predictq.errors import UserMistake

__all__ = ["Polling"]

_ERROR = Message.error
# Always there on what was consumed.
_TOPIC: Callable[[Message], str] = Message.topic  # type: ignore[assignment]
_PARTITION: Callable[[Message], int] = Message.partition  # type: ignore[assignment]
_OFFSET: Callable[[Message], int] = Message.offset  # type: ignore[assignment]
_VALUE = Message.value
_KEY = Message.key
_HEADERS = Message.headers
_TIMESTAMP = Message.timestamp


class Polling:
    """Takes from a Consumer what has come."""

    def __init__(self, consumer: Consumer, noise: Noise, where: str) -> None:
        self._consumer = consumer
        self._noise = noise
        self._where = where
        self._error: Exception | None = None

    def poll(self, timeout_seconds: float, max_records: int) -> list[Fetched]:
        """Waits for the first: `consume` itself waits until it has all that was asked for."""
        error, self._error = self._error, None
        if error is not None:
            raise error
        self._noise.check(self._where)
        consume = self._consumer.consume
        with translated(self._where):
            messages = consume(max_records, 0.0)
            if not messages and timeout_seconds > 0:
                messages = consume(1, timeout_seconds)
                if messages and max_records > 1:
                    messages += consume(max_records - 1, 0.0)
        if any(map(_ERROR, messages)):
            # Raised by the next poll: the records that came beside it must not be lost with it.
            for message in messages:
                self._error = _trouble(message, self._where) or self._error
            messages = [message for message in messages if message.error() is None]
        return _fetched(messages)


def _fetched(messages: Sequence[Message]) -> list[Fetched]:
    """Our records of messages that are no errors, in columns and without a Python call for each."""
    new = tuple.__new__
    runs: list[Fetched] = []
    at, on, offset = -1, "", -1
    records: list[Record] = []
    append = records.append
    for topic, partition, next_offset, value, key, headers, (_, timestamp) in zip(
        map(_TOPIC, messages),
        map(_PARTITION, messages),
        map(_OFFSET, messages),
        map(_VALUE, messages),
        map(_KEY, messages),
        map(_HEADERS, messages),
        map(_TIMESTAMP, messages),
        strict=True,
    ):
        if partition != at or topic != on:
            if records:
                runs.append(Fetched(Place(on, at), records, offset + 1))
            at, on, records = partition, topic, []
            append = records.append
        offset = next_offset
        if headers:
            mine, published_at = unpacked(headers, timestamp)
        else:
            mine, published_at = NO_HEADERS, timestamp / 1000
        append(new(Record, (topic, partition, str(offset), value or b"", key, mine, published_at, 0)))
    if records:
        runs.append(Fetched(Place(on, at), records, offset + 1))
    return runs


def _trouble(message: Message, where: str) -> Exception | None:
    """What an error among the messages means for a reader; None where it mends itself."""
    error = message.error()
    if error is None:
        return None
    if error.name() in UNKNOWN_TOPIC:
        return UnknownTopic(message.topic() or error.str())
    mine = ours(error, where)
    return mine if isinstance(mine, UserMistake | Evicted) else None
