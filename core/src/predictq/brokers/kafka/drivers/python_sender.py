"""Sending with kafka-python."""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.structs import OffsetAndMetadata

from predictq.brokers.kafka.driver import Committed, Failure, Place, Row, UnknownTopic
from predictq.brokers.kafka.drivers.python_admin import PythonAdmin
from predictq.brokers.kafka.drivers.python_client import connected
from predictq.brokers.kafka.drivers.python_errors import ours, translated
from predictq.brokers.kafka.drivers.python_member import PythonMember
from predictq.brokers.kafka.options import RECORD_OVERHEAD_BYTES, Options
from predictq.errors import BrokerUnavailable

__all__ = ["PythonSender"]

_LINGER_MS = 1_000
"""Every send ends with a flush; until then nothing has to leave."""
_BATCH_BYTES = 256 * 1024
_CLOSE_SECONDS = 2.0
_DOUBT_SECONDS = 1.0
"""When rows are not durable by then it is asked whether their topics are still there: kafka-python retries for ever."""


class PythonSender:
    """A producer, made when it is first needed and anew after it broke."""

    def __init__(self, options: Options, settings: Mapping[str, Any], transactional_id: str | None) -> None:
        self._options = options
        self._settings = {
            **settings,
            "acks": "all",
            "enable_idempotence": True,
            "linger_ms": _LINGER_MS,
            "batch_size": _BATCH_BYTES,
            "compression_type": None if options.compression == "none" else options.compression,
            "max_request_size": max(options.message_max_bytes + RECORD_OVERHEAD_BYTES, 1_048_576),
            "delivery_timeout_ms": int(options.request_seconds * 1000) + _LINGER_MS,
            "max_block_ms": int(options.connect_seconds * 1000),
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
        }
        if transactional_id is not None:
            self._settings["transactional_id"] = transactional_id
            self._settings["transaction_timeout_ms"] = int(options.transaction_timeout_seconds * 1000)
        self._admin = PythonAdmin(options, settings)
        self._producer: Any = None
        self._ready = False
        self._partitions: dict[str, int] = {}
        self._lock = threading.Lock()

    def partitions(self, topic: str) -> int:
        known = self._partitions.get(topic, 0)
        if not known:
            with self._lock:
                known = self._admin.partitions(topic)
            self._partitions[topic] = known
        return known

    def forget(self) -> None:
        self._partitions.clear()

    def send(self, rows: Sequence[Row], timeout_seconds: float) -> Sequence[Failure]:
        deadline = time.monotonic() + timeout_seconds
        producer = self._connected()
        with translated(self._options.shown):
            futures = _append(producer, rows)
            self._flush(producer, rows, futures, deadline)
        if not [f for f in futures if type(f) is tuple or f.exception is not None or not f.is_done]:
            return ()
        return self._failures(rows, futures)

    def begin(self) -> None:
        producer = self._connected()
        with translated(self._options.shown):
            if not self._ready:
                producer.init_transactions()
                self._ready = True
            producer.begin_transaction()

    def add_offsets(self, offsets: Mapping[Place, Committed], member: PythonMember) -> None:
        packed = {TopicPartition(*place): OffsetAndMetadata(c.offset, c.note, -1) for place, c in offsets.items()}
        with translated(self._options.shown):
            self._producer.send_offsets_to_transaction(packed, member.group_metadata())

    def commit(self, timeout_seconds: float) -> None:  # noqa: ARG002 - kafka-python bounds it by its own time-outs
        with translated(self._options.shown):
            self._producer.commit_transaction()

    def abort(self) -> None:
        try:
            with translated(self._options.shown):
                self._producer.abort_transaction()
        except Exception:  # noqa: BLE001 - whatever it is, the next producer of this id begins with taking it back
            self._drop()

    def close(self) -> None:
        self._drop()
        self._admin.close()

    def _connected(self) -> Any:
        with self._lock:
            if self._producer is None:
                with translated(self._options.shown):
                    self._producer = connected(KafkaProducer, self._settings)
                self._ready = False
            return self._producer

    def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            # Its own close waits for what the brokers do not take, and leaves its thread behind when that fails.
            producer._sender.force_close()  # noqa: SLF001
            producer._sender.join(_CLOSE_SECONDS)  # noqa: SLF001
            with suppress(kafka_errors.KafkaError):
                producer.close(timeout=0)
            producer._closed = True  # noqa: SLF001

    def _flush(self, producer: Any, rows: Sequence[Row], futures: Sequence[Any], deadline: float) -> None:
        doubt = min(_DOUBT_SECONDS, deadline - time.monotonic())
        while True:
            try:
                producer.flush(timeout=max(doubt, 0.0))
            except kafka_errors.KafkaTimeoutError:
                left = deadline - time.monotonic()
                if left <= 0 or self._vanished(rows, futures):
                    return
                doubt = min(doubt * 2, left)
            else:
                return

    def _vanished(self, rows: Sequence[Row], futures: Sequence[Any]) -> set[str]:
        """Topics of unfinished rows that are not there any more."""
        waiting = {
            row.place.topic for row, f in zip(rows, futures, strict=True) if type(f) is not tuple and not f.is_done
        }
        with self._lock:
            return {topic for topic in waiting if not self._admin.partitions(topic)}

    def _failures(self, rows: Sequence[Row], futures: Sequence[Any]) -> list[Failure]:
        gone = self._vanished(rows, futures)
        where = self._options.shown
        failures: list[Failure] = []
        for i, future in enumerate(futures):
            topic = rows[i].place.topic
            if type(future) is not tuple and not future.is_done:
                late = BrokerUnavailable(f"broker {where} has not confirmed what was sent to {topic}")
                failures.append(Failure(i, UnknownTopic(topic) if topic in gone else late))
            elif error := _error(future):
                mine = ours(error, where)
                failures.append(Failure(i, UnknownTopic(topic) if isinstance(mine, UnknownTopic) else mine))
        self.forget()
        # Rows of this producer may still be on their way; a new one keeps them from mixing with what comes next.
        self._drop()
        return failures


def _append(producer: Any, rows: Sequence[Row]) -> list[Any]:
    """A future for each row, or a tuple of the error that came at once."""
    send = producer.send
    futures = []
    for (topic, partition), value, key, headers in rows:
        try:
            futures.append(send(topic, value, key, headers, partition))
        except ValueError:
            # The cluster does not know this partition any more.
            futures.append((kafka_errors.UnknownTopicOrPartitionError(topic),))
    return futures


def _error(future: Any) -> BaseException | None:
    if type(future) is tuple:
        return future[0]  # type: ignore[no-any-return] # kafka-python has no types
    error: BaseException | None = future.exception
    return error
