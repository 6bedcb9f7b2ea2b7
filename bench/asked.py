"""What the command line asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BROKERS", "SERVERS", "Asked"]

SERVERS = ("redis", "kafka", "confluent", "amqp")
"""What is compared on servers: `kafka` and `confluent` are two drivers of one server."""
BROKERS = ("sqlite", *SERVERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How much is measured, and on what."""

    folder: Path
    rounds: int
    quick: bool
    brokers: tuple[str, ...]
    """Among BROKERS; empty: those that the benchmark is about."""
    urls: Mapping[str, str]
    """Servers that are given from outside, by name: of SERVERS, or `postgresql`. The others are started."""
