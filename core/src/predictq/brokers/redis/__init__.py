"""Redis 7.0 or later, or Valkey: a stream for each partition, a consumer group for each group.

What must happen together (outputs and acknowledgements, claims and their counts) happens in one script on the server;
the scripts are in `lua/`. `redis://user:password@host:6379/0`, or `rediss://` for TLS.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from predictq.brokers.redis.options import place_of
from predictq.errors import MissingExtra

if TYPE_CHECKING:
    from predictq.brokers.redis.broker import RedisBroker

__all__ = ["open_url"]


def open_url(url: str) -> "RedisBroker":
    """The broker at `url`. Raises MissingExtra without the driver, UserMistake for a URL that names no server."""
    place = place_of(url)
    try:
        adapter = import_module("predictq.brokers.redis.broker")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("redis", "hiredis"):
            raise
        raise MissingExtra("redis", "redis") from error
    broker: RedisBroker = adapter.RedisBroker(place)
    return broker
