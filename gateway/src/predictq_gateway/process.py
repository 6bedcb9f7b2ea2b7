"""The composition root of the gateway's process."""

from predictq.brokers import open_broker
from predictq.logs import configure_logging
from predictq.settings import Settings
from predictq_gateway.app import Gateway
from predictq_gateway.server import serve
from predictq_sync.database import Database
from predictq_sync.reading import Reader

__all__ = ["run_gateway"]


def run_gateway(settings: Settings, *, host: str, port: int) -> None:
    """Serve until the process is told to stop. To be called by the main thread."""
    configure_logging(settings.log, process="gateway")
    broker = open_broker(settings.broker_url())
    try:
        database = Database(settings.database_url())
        serve(Gateway(settings, broker, Reader(database), database), host=host, port=port)
    finally:
        broker.close()
