"""Creating and looking at topics and groups."""

from collections.abc import Mapping, Sequence

from predictq.brokers.amqp import registry
from predictq.brokers.amqp.active import ActiveMembers
from predictq.brokers.amqp.connection import Connection
from predictq.brokers.amqp.ensuring import ensure
from predictq.brokers.amqp.lag import lag_of
from predictq.brokers.amqp.options import Place
from predictq.brokers.port import Change, Health, Lag
from predictq.errors import BrokerUnavailable
from predictq.topology import Topology

__all__ = ["AmqpAdmin"]


class AmqpAdmin:
    """Creates and looks at topics and groups. Connects again when it is next used after the server was away."""

    def __init__(self, place: Place, active: ActiveMembers) -> None:
        self._place = place
        self._active = active
        self._connection = Connection(place, "predictq-admin", place.options.heartbeat_seconds)

    def ensure(self, topology: Topology, *, dry_run: bool = False, prune: bool = False) -> Sequence[Change]:
        """Create what is missing; several processes may do it at once, one after the other then."""
        self._connection.open()
        return ensure(self._connection, topology, dry_run=dry_run, prune=prune)

    def topics(self, prefix: str) -> Mapping[str, int]:
        """Topics that exist under the prefix, with their number of partitions."""
        self._connection.open()
        return {name: topic.partitions for name, topic in registry.read(self._connection, prefix).topics.items()}

    def lag(self, topic: str, group: str) -> Lag:
        """What waits and who reads. Raises UserMistake for an unknown topic or group."""
        return self.lags([topic], group)[0]

    def lags(self, topics: Sequence[str], group: str) -> Sequence[Lag]:
        """What waits and who reads; topics of one prefix. Raises UserMistake for an unknown topic or group."""
        if not topics:
            return []
        self._connection.open()
        known = registry.read(self._connection, topics[0].partition(".")[0])
        return [lag_of(self._connection, known.queues(topic, group), self._active.of(topic, group)) for topic in topics]

    def health(self) -> Health:
        """Whether the server answers, and takes messages as far as it has told us."""
        try:
            self._connection.open()
            self._connection.line().close()
        except BrokerUnavailable as error:
            return Health(ok=False, detail=str(error))
        if self._connection.blocked is not None:
            return Health(ok=False, detail=f"{self._place.shown}: an alarm ({self._connection.blocked})")
        properties = self._connection.wire.server_properties or {}
        return Health(ok=True, detail=f"{self._place.shown}, RabbitMQ {properties.get('version', 'unknown')}")

    def close(self) -> None:
        """Close the connection; may be called again."""
        self._connection.close()
