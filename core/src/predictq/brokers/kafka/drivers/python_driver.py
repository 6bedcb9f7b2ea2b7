"""The driver on kafka-python 3."""

import logging
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from predictq.brokers.kafka.driver import Listener, Place
from predictq.brokers.kafka.options import Options
from predictq.errors import MissingExtra, UserMistake

try:
    from predictq.brokers.kafka.drivers.python_admin import PythonAdmin
    from predictq.brokers.kafka.drivers.python_member import PythonMember, PythonReader
    from predictq.brokers.kafka.drivers.python_sender import PythonSender
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "kafka":
        raise
    raise MissingExtra("kafka", "kafka") from error

__all__ = ["PythonDriver", "open_driver"]

_TELL_SECRETS = ("kafka.protocol.parser", "kafka.net.connection", "kafka.admin.client", "kafka.producer.kafka")
"""They write settings and requests into the log, passwords included."""
_FETCH_WAIT_MS = 50
_CODECS = {"lz4": "lz4", "zstd": "zstandard"}


def open_driver(options: Options) -> "PythonDriver":
    """Connects nothing yet. Raises MissingExtra without crc32c, which makes kafka-python several times faster."""
    if find_spec("crc32c") is None:
        raise MissingExtra("kafka", "kafka")
    module = _CODECS.get(options.compression)
    if module is not None and find_spec(module) is None:
        raise UserMistake(
            f"broker: compression={options.compression} needs the package {module}, which is not installed; "
            f"pip install {module}, or use compression=gzip"
        )
    log = logging.getLogger("kafka")
    if log.level == logging.NOTSET:
        # Whatever it says at lower levels comes out as an error of ours, or is mended by itself.
        log.setLevel(logging.CRITICAL)
    for name in _TELL_SECRETS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return PythonDriver(options)


class PythonDriver:
    """Makes the parts, all with the same connection settings."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._settings = _settings(options)

    def sender(self, transactional_id: str | None = None) -> PythonSender:
        return PythonSender(self._options, self._settings, transactional_id)

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
    ) -> PythonMember:
        settings = {
            **self._settings,
            "group_id": group,
            "group_instance_id": instance,
            "session_timeout_ms": int(session_seconds * 1000),
            # A rebalance begins for a member with the heartbeat after it was called for.
            "heartbeat_interval_ms": int(min(session_seconds / 4, 0.2) * 1000),
            "max_poll_interval_ms": int(rebalance_seconds * 1000),
            "fetch_max_bytes": max_fetch_bytes,
            # There is one fetch at a time from each broker: partitions that were full wait for it to come back.
            "fetch_max_wait_ms": _FETCH_WAIT_MS,
        }
        return PythonMember(self._options, settings, topics, listener)

    def reader(self, offsets: Mapping[Place, int]) -> PythonReader:
        return PythonReader(self._options, self._settings, offsets)

    def admin(self) -> PythonAdmin:
        return PythonAdmin(self._options, self._settings)


def _settings(options: Options) -> dict[str, Any]:
    """What all clients are given."""
    settings: dict[str, Any] = {
        "bootstrap_servers": list(options.servers),
        "client_id": "predictq",
        "security_protocol": options.security_protocol,
        "bootstrap_timeout_ms": int(options.connect_seconds * 1000),
        "request_timeout_ms": int(options.request_seconds * 1000),
        # Its waits are slept through on the way of a batch: a tenth of a second would be seen in every latency.
        "retry_backoff_ms": 20,
        "reconnect_backoff_ms": 50,
        "reconnect_backoff_max_ms": 2_000,
    }
    if options.username is not None:
        settings |= {
            "sasl_mechanism": options.sasl_mechanism,
            "sasl_plain_username": options.username,
            "sasl_plain_password": options.password,
        }
    files: dict[str, Callable[[], Any]] = {
        "ssl_cafile": lambda: options.ssl_cafile,
        "ssl_certfile": lambda: options.ssl_certfile,
        "ssl_keyfile": lambda: options.ssl_keyfile,
    }
    settings |= {name: str(path) for name, find in files.items() if (path := find()) is not None}
    settings["ssl_check_hostname"] = options.ssl_check_hostname
    return settings
