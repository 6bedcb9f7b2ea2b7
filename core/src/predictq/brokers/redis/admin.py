"""Creating and looking at topics and groups."""

import logging
from collections.abc import Mapping, Sequence

from predictq.brokers.port import Change, Health, Lag
from predictq.brokers.redis.connection import RedisConnection
from predictq.brokers.redis.ensuring import ensure, known_topics
from predictq.brokers.redis.ensuring import prune as prune_away
from predictq.brokers.redis.lag import lag_of
from predictq.brokers.redis.options import Place
from predictq.errors import BrokerUnavailable
from predictq.topology import Topology

__all__ = ["RedisAdmin"]

log = logging.getLogger(__name__)


class RedisAdmin:
    """Creates and looks at topics and groups."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._connection = RedisConnection(place)

    def ensure(self, topology: Topology, *, dry_run: bool = False, prune: bool = False) -> Sequence[Change]:
        """Create what is missing; several processes may do it at once, and one that stops half-way is made good."""
        if not dry_run and self._connection.facts("persistence").get("aof_enabled") == "0":
            log.warning(
                "broker %s keeps no append-only file: what it accepted is lost when it restarts; `appendonly yes`",
                self._place.shown,
            )
        changes = ensure(self._connection, topology, dry_run=dry_run)
        return [*changes, *(prune_away(self._connection, topology, dry_run=dry_run) if prune else ())]

    def topics(self, prefix: str) -> Mapping[str, int]:
        """Topics that exist under the prefix, with their number of partitions."""
        return {name: known.partitions for name, known in known_topics(self._connection, prefix).items()}

    def lag(self, topic: str, group: str) -> Lag:
        """Exact at one moment. Raises UserMistake for an unknown topic or group."""
        return lag_of(self._connection, topic, group)

    def lags(self, topics: Sequence[str], group: str) -> Sequence[Lag]:
        """One after the other. Raises UserMistake for an unknown topic or group."""
        return [self.lag(topic, group) for topic in topics]

    def health(self) -> Health:
        """Whether the server answers and takes writes."""
        try:
            facts = self._connection.facts("replication", "persistence", "server")
        except BrokerUnavailable as error:
            return Health(ok=False, detail=str(error))
        shown = f"{self._place.shown}, Redis {facts.get('redis_version')}"
        if facts.get("role") != "master":
            return Health(ok=False, detail=f"{shown}: it is a replica and takes no writes; name the primary")
        if facts.get("aof_last_write_status", "ok") != "ok":
            return Health(ok=False, detail=f"{shown}: it cannot write to its disk; make room")
        return Health(ok=True, detail=shown)

    def close(self) -> None:
        """Close the connection; may be called again."""
        self._connection.close()
