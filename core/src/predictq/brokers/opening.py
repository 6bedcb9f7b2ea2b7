"""From a URL to a broker."""

from collections.abc import Callable
from importlib import import_module

from predictq.brokers.port import Broker
from predictq.errors import UserMistake

__all__ = ["open_broker"]

_ADAPTERS = {
    "amqp": "predictq.brokers.amqp",
    "amqps": "predictq.brokers.amqp",
    "kafka": "predictq.brokers.kafka",
    "kafka+confluent": "predictq.brokers.kafka",
    "memory": "predictq.brokers.memory",
    "redis": "predictq.brokers.redis",
    "rediss": "predictq.brokers.redis",
    "sqlite": "predictq.brokers.sqlite",
}


def open_broker(url: str) -> Broker:
    """The broker at `url`, e.g. `sqlite:////var/lib/predictq.db`. Connects nothing yet.

    Raises UserMistake for an unknown scheme, MissingExtra where the driver is not installed.
    """
    scheme = url.partition(":")[0]
    if scheme not in _ADAPTERS:
        known = ", ".join(f"{name}://" for name in sorted(_ADAPTERS))
        raise UserMistake(f"broker: {scheme!r} is no broker that predictq knows; one of {known} would be right")
    adapter: Callable[[str], Broker] = import_module(_ADAPTERS[scheme]).open_url
    return adapter(url)
