"""What a connection knows about topics: their partitions, and where the next keyless messages go."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from predictq.brokers.partitions import partition_of
from predictq.brokers.redis.connection import RedisConnection
from predictq.brokers.redis.keys import prefix_of, stream_key, topics_key
from predictq.errors import UserMistake
from predictq.topology import TopicSpec

__all__ = ["KnownTopic", "Topic", "Topics", "unknown_topic"]

_KEYS_REMEMBERED = 10_000


class KnownTopic(BaseModel):
    """What is written down about a topic."""

    model_config = ConfigDict(frozen=True)

    partitions: int
    retention_seconds: float
    ordered: bool

    @classmethod
    def of(cls, spec: TopicSpec) -> "KnownTopic":
        """As the topology asks for it."""
        return cls(partitions=spec.partitions, retention_seconds=spec.retention_seconds, ordered=spec.ordered)


class Topic:
    """The partitions of a topic, by their streams."""

    __slots__ = ("_of_key", "_turn", "name", "ordered", "retention_seconds", "streams")

    def __init__(self, name: str, known: KnownTopic) -> None:
        self.name = name
        self.ordered = known.ordered
        self.retention_seconds = known.retention_seconds
        self.streams = [stream_key(name, partition) for partition in range(known.partitions)]
        self._turn = 0
        self._of_key: dict[bytes, str] = {}

    def of_key(self, key: bytes) -> str:
        """The stream of a key."""
        streams = self.streams
        if len(streams) == 1:
            return streams[0]
        stream = self._of_key.get(key)
        if stream is None:
            if len(self._of_key) >= _KEYS_REMEMBERED:
                self._of_key.clear()
            stream = self._of_key[key] = streams[partition_of(key, len(streams))]
        return stream

    def in_turn(self) -> str:
        """The stream whose turn it is to get messages without a key."""
        self._turn = (self._turn + 1) % len(self.streams)
        return self.streams[self._turn]


class Topics:
    """Topics by name, read from the server when they are first asked for."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._topics: dict[str, Topic] = {}

    def __getitem__(self, name: str) -> Topic:
        """Raises UserMistake where there is no such topic."""
        topic = self._topics.get(name)
        if topic is None:
            text = self._connection.call("HGET", topics_key(prefix_of(name)), name)
            if text is None:
                raise unknown_topic(name)
            topic = self._topics[name] = Topic(name, KnownTopic.model_validate_json(text))
        return topic

    def forget(self) -> None:
        """Read them again: one that was known is gone."""
        self._topics.clear()


def unknown_topic(name: str, what: Literal["topic", "group"] = "topic") -> UserMistake:
    """What to tell whoever names a topic or a group that is not there."""
    return UserMistake(f"{what} {name} does not exist; `predictq topics ensure` creates the {what}s of the settings")
