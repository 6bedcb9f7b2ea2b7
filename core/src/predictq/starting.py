"""What every process does before it reads anything: wait for what it needs, and see that its topics are there."""

import logging
import time
from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

from predictq.brokers.port import Broker
from predictq.errors import Unavailable
from predictq.loop.backoff import Backoff
from predictq.topology import Topology

__all__ = ["PATIENCE_SECONDS", "ensure_topics", "patiently"]

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0
"""Servers and processes are started in any order; after this long it is more likely that the address is wrong."""

ResultT = TypeVar("ResultT")


def ensure_topics(broker: Broker, topology: Topology) -> None:
    """Create what is missing. Raises UserMistake at once, BrokerUnavailable when the broker stays away."""

    def ensure() -> None:
        with closing(broker.admin()) as admin:
            admin.ensure(topology)

    patiently(ensure)


def patiently(call: Callable[[], ResultT], *, seconds: float = PATIENCE_SECONDS) -> ResultT:
    """Call until nothing is away, for at most `seconds`; then what was raised last is raised."""
    backoff = Backoff()
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except Unavailable as error:
            pause = backoff.next_seconds()
            if time.monotonic() + pause > deadline:
                raise
            log.warning("%s; next try in %.1f s", error, pause)
            time.sleep(pause)
