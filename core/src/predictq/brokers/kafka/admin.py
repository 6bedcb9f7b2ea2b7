"""Creating and looking at topics and groups."""

from collections.abc import Mapping, Sequence

from predictq.brokers.kafka.driver import Driver
from predictq.brokers.kafka.ensuring import Ensuring
from predictq.brokers.kafka.lag import Lags
from predictq.brokers.kafka.options import Options
from predictq.brokers.kafka.topics import is_internal
from predictq.brokers.port import Change, Health, Lag
from predictq.errors import PredictqError
from predictq.topology import Topology

__all__ = ["KafkaAdmin"]


class KafkaAdmin:
    """Creates and looks at topics and groups; connects at the first call."""

    def __init__(self, driver: Driver, options: Options) -> None:
        self._options = options
        self._admin = driver.admin()
        self._lags = Lags(self._admin)

    def ensure(self, topology: Topology, *, dry_run: bool = False, prune: bool = False) -> Sequence[Change]:
        """Create what is missing; several processes may do it at once."""
        ensuring = Ensuring(self._admin, self._options, dry_run=dry_run)
        return [
            *ensuring.topics(topology.topics),
            *ensuring.groups(topology.groups),
            *(ensuring.prune(topology) if prune else ()),
        ]

    def topics(self, prefix: str) -> Mapping[str, int]:
        """Topics that exist under the prefix, with their number of partitions."""
        under = f"{prefix}."
        return {
            topic: partitions
            for topic, partitions in self._admin.topics().items()
            if topic.startswith(under) and not is_internal(topic)
        }

    def lag(self, topic: str, group: str) -> Lag:
        """Raises UserMistake for an unknown topic or group."""
        return self.lags([topic], group)[0]

    def lags(self, topics: Sequence[str], group: str) -> Sequence[Lag]:
        """Costs little more than the lag on one of them. Raises UserMistake for an unknown topic or group."""
        return self._lags.of(topics, group)

    def health(self) -> Health:
        """Whether the cluster answers."""
        try:
            cluster = self._admin.cluster()
        except PredictqError as error:
            return Health(ok=False, detail=str(error))
        return Health(ok=True, detail=f"{self._options.shown}, {cluster}")

    def close(self) -> None:
        """Let go of the connection; may be called again."""
        self._admin.close()
