"""What a connection knows about topics: their partitions, who reads them, and where the next keyless message goes."""

from predictq.brokers.amqp import registry
from predictq.brokers.amqp.connection import Connection
from predictq.brokers.amqp.frames import Envelope
from predictq.brokers.amqp.queues import routing_key
from predictq.brokers.amqp.registry import Known
from predictq.brokers.partitions import partition_of
from predictq.errors import UserMistake

__all__ = ["Route", "Topics"]

_KEYS_REMEMBERED = 10_000


class Route:
    """The way to a topic's partitions."""

    __slots__ = ("_envelopes", "_of_key", "_turn")

    def __init__(self, envelopes: list[Envelope]) -> None:
        self._envelopes = envelopes
        self._turn = 0
        self._of_key: dict[bytes, Envelope] = {}

    def of_key(self, key: bytes) -> Envelope:
        """To the partition of a key."""
        envelope = self._of_key.get(key)
        if envelope is None:
            if len(self._of_key) >= _KEYS_REMEMBERED:
                self._of_key.clear()
            envelope = self._of_key[key] = self._envelopes[partition_of(key, len(self._envelopes))]
        return envelope

    def in_turn(self) -> Envelope:
        """To the partition whose turn it is to get a message without a key."""
        self._turn = (self._turn + 1) % len(self._envelopes)
        return self._envelopes[self._turn]


class Topics:
    """Topics by name, read from the registry when they are first asked for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, Known] = {}

    def known(self, topic: str) -> Known:
        """What exists beside the topic, as far as it was read."""
        prefix = topic.partition(".")[0]
        known = self._known.get(prefix)
        if known is None or topic not in known.topics:
            known = self._known[prefix] = registry.read(self._connection, prefix)
        return known

    def route(self, topic: str, channel: int) -> Route:
        """Raises UserMistake where there is no such topic."""
        known = self.known(topic)
        found = known.topics.get(topic)
        if found is None:
            raise UserMistake(
                f"topic {topic} does not exist; `predictq topics ensure` creates the topics of the settings"
            )
        read = self.is_read(topic)
        return Route([Envelope(channel, topic, routing_key(i), mandatory=read) for i in range(found.partitions)])

    def is_read(self, topic: str) -> bool:
        """Whether any group reads it. What nobody reads, such as hints while no gateway runs, reaches no queue."""
        return any(topic in reads for reads in self.known(topic).groups.values())

    def forget(self) -> None:
        """Read them again: one that was known is gone."""
        self._known.clear()
