"""Sending with confluent-kafka."""

import threading
from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from predictq.brokers.kafka.driver import Committed, Failure, Place, Row, UnknownTopic
from predictq.brokers.kafka.drivers.confluent_errors import cause, ours, translated
from predictq.brokers.kafka.drivers.confluent_member import ConfluentMember, packed
from predictq.brokers.kafka.drivers.confluent_settings import Noise, connect
from predictq.brokers.kafka.options import Options
from predictq.errors import BrokerUnavailable, MessageTooLarge

__all__ = ["ConfluentSender"]

_Content = tuple[str | None, int | None, bytes | None, bytes | None]


class ConfluentSender:
    """A Producer, made when it is first needed and anew after it broke."""

    def __init__(self, options: Options, settings: Mapping[str, object]) -> None:
        self._options = options
        self._where = options.shown
        self._settings = settings
        self._noise = Noise()
        self._producer: Producer | None = None
        self._ready = False
        self._partitions: dict[str, int] = {}
        self._lock = threading.Lock()

    def partitions(self, topic: str) -> int:
        known = self._partitions.get(topic, 0)
        if not known:
            with translated(self._where):
                # Asked for all: a question for one topic would create it where the broker does that.
                found = self._connected().list_topics(timeout=self._options.request_seconds)
            self._partitions = {name: len(about.partitions) for name, about in found.topics.items()}
            known = self._partitions.get(topic, 0)
        return known

    def forget(self) -> None:
        self._partitions = {}

    def send(self, rows: Sequence[Row], timeout_seconds: float) -> Sequence[Failure]:
        producer = self._connected()
        failed = _Failed()
        produce = producer.produce
        refused: list[Failure] = []
        for i, ((topic, partition), value, key, headers) in enumerate(rows):
            try:
                if headers:
                    produce(topic, value, key, partition, failed, headers=headers)  # type: ignore[arg-type] # a list of str and bytes is one of str and more
                else:
                    produce(topic, value, key, partition, failed)
            except (KafkaException, BufferError) as error:
                refused.append(Failure(i, self._refusal(error, rows[i])))
        unsure = bool(producer.flush(timeout_seconds))
        if unsure:
            # What is still on its way is given up, which `failed` hears; a new producer keeps it from mixing with more.
            self._drop()
            producer.purge()
            unsure = bool(producer.flush(1.0))
        if not failed.errors and not refused and not unsure:
            return ()
        return self._failures(rows, failed, refused, unsure=unsure)

    def begin(self) -> None:
        producer = self._connected()
        with translated(self._where):
            if not self._ready:
                producer.init_transactions(self._options.request_seconds)
                self._ready = True
            producer.begin_transaction()

    def add_offsets(self, offsets: Mapping[Place, Committed], member: ConfluentMember) -> None:
        with translated(self._where):
            self._connected().send_offsets_to_transaction(
                packed(offsets), member.group_metadata(), self._options.request_seconds
            )

    def commit(self, timeout_seconds: float) -> None:
        with translated(self._where):
            self._connected().commit_transaction(timeout_seconds)

    def abort(self) -> None:
        producer = self._producer
        if producer is None:
            return
        try:
            with translated(self._where):
                producer.abort_transaction(self._options.request_seconds)
        except Exception:  # noqa: BLE001 - whatever it is, the next producer of this id fences it and takes this back
            self._drop()

    def close(self) -> None:
        self._drop()

    def _connected(self) -> Producer:
        with self._lock:
            if self._producer is None:
                with translated(self._where):
                    producer = Producer({**self._settings, "error_cb": self._noise})
                connect(
                    lambda seconds: producer.list_topics(timeout=seconds),
                    lambda: producer.poll(0),
                    self._noise,
                    self._options,
                )
                self._producer, self._ready = producer, False
            return self._producer

    def _drop(self) -> None:
        with self._lock:
            self._producer = None

    def _refusal(self, error: KafkaException | BufferError, row: Row) -> Exception:
        if isinstance(error, BufferError):
            return BrokerUnavailable(f"broker {self._where} is too slow: the client's buffer is full")
        return self._mine(cause(error), row)

    def _mine(self, error: KafkaError, row: Row) -> Exception:
        mine = ours(error, self._where)
        if isinstance(mine, UnknownTopic):
            return UnknownTopic(row.place.topic)
        if error.name() == "MSG_SIZE_TOO_LARGE" and len(row.value) > self._options.message_max_bytes:
            return MessageTooLarge(topic=row.place.topic, size=len(row.value), limit=self._options.message_max_bytes)
        return mine

    def _failures(
        self, rows: Sequence[Row], failed: "_Failed", refused: list[Failure], *, unsure: bool
    ) -> list[Failure]:
        """Those of the rows that are not known to be durable: all, where not everything was heard of in the end."""
        known = {failure.row for failure in refused}
        failures = refused
        # An error of something that is none of the rows is one of a row that could not be told.
        unsure = unsure or not failed.errors.keys() <= {(*row.place, row.key, row.value) for row in rows}
        for i, row in enumerate(rows):
            error = failed.errors.get((*row.place, row.key, row.value))
            if i in known:
                continue
            if error is not None:
                failures.append(Failure(i, self._mine(error, row)))
            elif unsure:
                said = f"broker {self._where} has not confirmed what was sent to {row.place.topic}"
                failures.append(Failure(i, BrokerUnavailable(said)))
        self.forget()
        if any(error.fatal() for error in failed.errors.values()):
            self._drop()
        return failures


class _Failed:
    """Hears of each message of one send that failed, and of no other.

    It knows them by what they hold: where one of two equal messages failed, both count as not known to be durable.
    """

    def __init__(self) -> None:
        self.errors: dict[_Content, KafkaError] = {}

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.errors[message.topic(), message.partition(), message.key(), message.value()] = error
