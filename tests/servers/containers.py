"""Servers in containers, where a Docker engine runs.

Our own machines have none: this way is checked for its types alone.
"""

import shutil
import subprocess
from collections.abc import Callable
from functools import cache

from testcontainers.core.container import DockerContainer
from tests.servers.names import ServerName

_ENGINE_SECONDS = 5.0


@cache
def engine_runs() -> bool:
    """Whether a Docker engine answers."""
    if not shutil.which("docker"):
        return False
    try:
        return (
            subprocess.run(["docker", "info"], capture_output=True, timeout=_ENGINE_SECONDS, check=False).returncode
            == 0
        )
    except subprocess.TimeoutExpired:
        return False


def start_container(name: ServerName) -> tuple[str, Callable[[], None]]:
    """The URL, and what ends it."""
    container, url = _STARTED[name]()
    return url, container.stop


def _redis() -> tuple[DockerContainer, str]:
    from testcontainers.community.redis import RedisContainer

    redis = RedisContainer("redis:7.4").with_command("redis-server --appendonly yes --maxmemory-policy noeviction")
    redis.start()
    return redis, f"redis://{redis.get_container_host_ip()}:{redis.get_exposed_port(redis.port)}/0"


def _rabbitmq() -> tuple[DockerContainer, str]:
    from testcontainers.community.rabbitmq import RabbitMqContainer

    rabbitmq = RabbitMqContainer("rabbitmq:4.1")
    rabbitmq.start()
    return (
        rabbitmq,
        f"amqp://guest:guest@{rabbitmq.get_container_host_ip()}:{rabbitmq.get_exposed_port(rabbitmq.port)}/",
    )


def _kafka() -> tuple[DockerContainer, str]:
    from testcontainers.community.kafka import KafkaContainer

    kafka = KafkaContainer("confluentinc/cp-kafka:7.9.0").with_kraft()
    kafka.with_env("KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS", "1000").with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")
    kafka.start()
    return kafka, f"kafka://{kafka.get_bootstrap_server()}"


def _postgresql() -> tuple[DockerContainer, str]:
    from testcontainers.community.postgres import PostgresContainer

    postgresql = PostgresContainer("postgres:17", driver="psycopg")
    postgresql.start()
    return postgresql, postgresql.get_connection_url()


_STARTED: dict[ServerName, Callable[[], tuple[DockerContainer, str]]] = {
    "kafka": _kafka,
    "amqp": _rabbitmq,
    "redis": _redis,
    "postgresql": _postgresql,
}
