"""Start servers on this machine."""

import tempfile
from pathlib import Path

from tests.servers.kafka_server import KafkaServer
from tests.servers.local_server import LocalServer
from tests.servers.names import ServerName
from tests.servers.postgresql_server import PostgresqlServer
from tests.servers.rabbitmq_server import RabbitmqServer
from tests.servers.redis_server import RedisServer

LOCAL_SERVERS: dict[ServerName, type[LocalServer]] = {
    "kafka": KafkaServer,
    "amqp": RabbitmqServer,
    "redis": RedisServer,
    "postgresql": PostgresqlServer,
}


def new_folder() -> Path:
    """A temporary folder into which servers that run as another user can look."""
    folder = Path(tempfile.mkdtemp(prefix="predictq-servers-"))
    folder.chmod(0o711)
    return folder
