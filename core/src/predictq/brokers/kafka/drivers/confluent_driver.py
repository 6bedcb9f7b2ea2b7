"""The driver on confluent-kafka, which is librdkafka: several times faster than kafka-python.

Messages go through it. Membership of a group goes through kafka-python all the same, for librdkafka stalls it, and so
do questions about topics and groups: they are few, and in librdkafka 2.16 they end the process, by an assertion or a
segmentation fault, when a broker goes away in the middle.
"""

import logging
from collections.abc import Mapping, Sequence

from predictq.brokers.kafka.driver import Listener, Place
from predictq.brokers.kafka.options import Options
from predictq.errors import MissingExtra

try:
    from predictq.brokers.kafka.drivers.confluent_member import ConfluentMember
    from predictq.brokers.kafka.drivers.confluent_reader import ConfluentReader
    from predictq.brokers.kafka.drivers.confluent_sender import ConfluentSender
    from predictq.brokers.kafka.drivers.confluent_settings import LOG, connecting, reading, sending
    from predictq.brokers.kafka.drivers.python_admin import PythonAdmin
    from predictq.brokers.kafka.drivers.python_driver import open_driver as open_python_driver
    from predictq.brokers.kafka.drivers.python_member import PythonMember
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in {"confluent_kafka", "kafka"}:
        raise
    raise MissingExtra("kafka+confluent", "confluent") from error

__all__ = ["ConfluentDriver", "open_driver"]


def open_driver(options: Options) -> "ConfluentDriver":
    """Connects nothing yet."""
    if LOG.level == logging.NOTSET:
        # Whatever it says at lower levels comes out as an error of ours, or is mended by itself.
        LOG.setLevel(logging.CRITICAL)
    return ConfluentDriver(options)


class ConfluentDriver:
    """Makes the parts, all with the same connection settings."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._settings = connecting(options)
        self._python = open_python_driver(options)

    def sender(self, transactional_id: str | None = None) -> ConfluentSender:
        return ConfluentSender(self._options, {**self._settings, **sending(self._options, transactional_id)})

    def member(
        self,
        *,
        group: str,
        instance: str | None,
        topics: Sequence[str],
        listener: Listener,
        session_seconds: float,
        rebalance_seconds: float,
        max_fetch_bytes: int,
    ) -> ConfluentMember:
        def join(ear: Listener) -> PythonMember:
            return self._python.member(
                group=group,
                instance=instance,
                topics=topics,
                listener=ear,
                session_seconds=session_seconds,
                rebalance_seconds=rebalance_seconds,
                max_fetch_bytes=max_fetch_bytes,
            )

        settings = {**self._settings, **reading(self._options, max_fetch_bytes), "group.id": group}
        return ConfluentMember(self._options, settings, listener, join)

    def reader(self, offsets: Mapping[Place, int]) -> ConfluentReader:
        return ConfluentReader(self._options, {**self._settings, **reading(self._options)}, offsets)

    def admin(self) -> PythonAdmin:
        return self._python.admin()
