"""Whether a server answers: connect as a client would, and ask one thing."""

import socket
from collections.abc import Callable
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 5.0


class NoAnswer(Exception):
    """Nothing listens there, or what listens does not answer as that server does."""


def ask(url: str) -> None:
    """Return when the server at `url` has answered; raises NoAnswer."""
    parts = urlsplit(url)
    try:
        # Drivers log and retry where nothing listens; a bare connection tells that sooner and without a word.
        socket.create_connection((parts.hostname or "", parts.port or 0), _TIMEOUT_SECONDS).close()
    except OSError as error:
        raise NoAnswer(f"nothing listens on {parts.hostname}:{parts.port}: {error}") from error
    _ASKED[parts.scheme.partition("+")[0]](url)


def answers(url: str) -> bool:
    try:
        ask(url)
    except NoAnswer:
        return False
    return True


def _ask_redis(url: str) -> None:
    import redis

    try:
        with redis.Redis.from_url(url, socket_timeout=_TIMEOUT_SECONDS) as client:
            client.ping()
    except (redis.RedisError, OSError) as error:
        raise NoAnswer(str(error)) from error


def _ask_rabbitmq(url: str) -> None:
    import pika
    from pika.exceptions import AMQPError

    parameters = pika.URLParameters(url)
    parameters.socket_timeout = parameters.blocked_connection_timeout = _TIMEOUT_SECONDS
    try:
        with pika.BlockingConnection(parameters) as connection:
            connection.channel()
    except (AMQPError, OSError) as error:
        raise NoAnswer(repr(error)) from error


def _ask_kafka(url: str) -> None:
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        client = KafkaAdminClient(
            bootstrap_servers=urlsplit(url).netloc, request_timeout_ms=int(_TIMEOUT_SECONDS * 1000)
        )
        try:
            client.describe_cluster()
        finally:
            client.close()
    except (KafkaError, OSError) as error:
        raise NoAnswer(repr(error)) from error


def _ask_postgresql(url: str) -> None:
    import psycopg

    try:
        connection = psycopg.connect(url.replace("+psycopg", "", 1), connect_timeout=int(_TIMEOUT_SECONDS))
        with connection:
            connection.execute("SELECT 1")
    except psycopg.Error as error:
        raise NoAnswer(str(error)) from error


_ASKED: dict[str, Callable[[str], None]] = {
    "amqp": _ask_rabbitmq,
    "kafka": _ask_kafka,
    "postgresql": _ask_postgresql,
    "redis": _ask_redis,
}
