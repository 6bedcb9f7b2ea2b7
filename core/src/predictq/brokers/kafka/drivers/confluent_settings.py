"""From our options to librdkafka's settings, and the first word with a broker.

https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
"""

import logging
import time
from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException

from predictq.brokers.kafka.drivers.confluent_errors import MISTAKES, cause, ours
from predictq.brokers.kafka.options import RECORD_OVERHEAD_BYTES, Options
from predictq.errors import BrokerUnavailable

__all__ = ["LOG", "Noise", "connect", "connecting", "reading", "sending"]

LOG = logging.getLogger("librdkafka")
_QUESTION_SECONDS = 0.25
_LINGER_MS = 100
"""Every send ends with a flush, which waits for nothing; until then nothing has to leave."""
_ROOMY_BYTES = 1_048_576


class Noise:
    """What librdkafka tells beside its answers: connections lost, refused passwords. Called from within its calls."""

    def __init__(self) -> None:
        self._last: KafkaError | None = None
        self._mistake: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        if error.name() in MISTAKES or error.fatal():
            self._mistake = error
        elif error.name() != "_ALL_BROKERS_DOWN":
            self._last = error

    def check(self, where: str) -> None:
        """Raise what trying again would not mend, once."""
        mistake, self._mistake = self._mistake, None
        if mistake is not None:
            raise ours(mistake, where)

    @property
    def words(self) -> str:
        """Why nobody answers."""
        return self._last.str() if self._last is not None else "nobody answers"


def connecting(options: Options) -> dict[str, object]:
    """What all clients are given."""
    settings: dict[str, object] = {
        "bootstrap.servers": ",".join(options.servers),
        "client.id": "predictq",
        "security.protocol": options.security_protocol,
        "socket.timeout.ms": int(options.request_seconds * 1000),
        "socket.connection.setup.timeout.ms": max(1_000, int(options.connect_seconds * 1000)),
        "socket.nagle.disable": True,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 2_000,
        "retry.backoff.ms": 20,
        "log.connection.close": False,
        "logger": LOG,
    }
    if options.username is not None:
        settings |= {
            "sasl.mechanism": options.sasl_mechanism,
            "sasl.username": options.username,
            "sasl.password": options.password,
        }
    files = {
        "ssl.ca.location": options.ssl_cafile,
        "ssl.certificate.location": options.ssl_certfile,
        "ssl.key.location": options.ssl_keyfile,
    }
    settings |= {name: str(path) for name, path in files.items() if path is not None}
    if not options.ssl_check_hostname:
        settings["ssl.endpoint.identification.algorithm"] = "none"
    return settings


def sending(options: Options, transactional_id: str | None) -> dict[str, object]:
    """What producers are given beside it."""
    seconds = options.request_seconds
    if transactional_id is not None:
        # librdkafka wants it so.
        seconds = min(seconds, options.transaction_timeout_seconds)
    settings: dict[str, object] = {
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": _LINGER_MS,
        "batch.num.messages": 100_000,
        "queue.buffering.max.messages": 1_000_000,
        "message.max.bytes": max(_ROOMY_BYTES, options.message_max_bytes + RECORD_OVERHEAD_BYTES),
        "compression.type": options.compression,
        "message.timeout.ms": int(seconds * 1000),
        "socket.timeout.ms": int(seconds * 1000),
        # A topic that is gone is given up, instead of waited for, after this long.
        "topic.metadata.propagation.max.ms": 2_000,
        "topic.metadata.refresh.fast.interval.ms": 50,
        # Only what fails is told message by message.
        "delivery.report.only.error": True,
    }
    if transactional_id is not None:
        settings["transactional.id"] = transactional_id
        settings["transaction.timeout.ms"] = int(options.transaction_timeout_seconds * 1000)
    return settings


def reading(options: Options, max_fetch_bytes: int | None = None) -> dict[str, object]:
    """What consumers are given beside it."""
    largest = max(_ROOMY_BYTES, options.message_max_bytes + RECORD_OVERHEAD_BYTES)
    fetch = max(largest, max_fetch_bytes or 0)
    return {
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "allow.auto.create.topics": False,
        "isolation.level": "read_committed" if options.transactions else "read_uncommitted",
        "fetch.message.max.bytes": largest,
        "fetch.max.bytes": fetch,
        "receive.message.max.bytes": fetch + 1_000_000,
        # An empty partition answers after it: the wait of a revocation, not of a record.
        "fetch.wait.max.ms": 100,
        "fetch.error.backoff.ms": 50,
        # How long a full queue is left alone after there is room again.
        "fetch.queue.backoff.ms": 10,
        "queued.max.messages.kbytes": max(1, fetch // 1024),
        "topic.metadata.refresh.interval.ms": 30_000,
    }


def connect(ask: Callable[[float], object], serve: Callable[[], object], noise: Noise, options: Options) -> None:
    """Return when a broker answers a question; `ask` raises when none does for so many seconds.

    Raises UserMistake for refused credentials, BrokerUnavailable after `connect_seconds`.
    """
    deadline = time.monotonic() + options.connect_seconds
    while True:
        left = deadline - time.monotonic()
        try:
            ask(max(0.01, min(left, _QUESTION_SECONDS)))
        except KafkaException as error:
            serve()
            noise.check(options.shown)
            if left <= _QUESTION_SECONDS:
                raise BrokerUnavailable(
                    f"broker {options.shown} cannot be reached: {noise.words} ({cause(error).name()})"
                ) from error
        else:
            return
