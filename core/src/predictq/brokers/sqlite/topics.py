"""What a connection knows about topics: their partitions, and where the next keyless messages go."""

from predictq.brokers.partitions import partition_of
from predictq.brokers.sqlite.connection import Connection
from predictq.errors import UserMistake

__all__ = ["Topic", "Topics", "unknown_topic"]

_KEYS_REMEMBERED = 10_000


class Topic:
    """The partitions of a topic, by their numbers in the file."""

    __slots__ = ("_of_key", "_turn", "tps")

    def __init__(self, tps: list[int]) -> None:
        self.tps = tps
        self._turn = 0
        self._of_key: dict[bytes, int] = {}

    def of_key(self, key: bytes) -> int:
        """The partition of a key."""
        tps = self.tps
        if len(tps) == 1:
            return tps[0]
        tp = self._of_key.get(key)
        if tp is None:
            if len(self._of_key) >= _KEYS_REMEMBERED:
                self._of_key.clear()
            tp = self._of_key[key] = tps[partition_of(key, len(tps))]
        return tp

    def in_turn(self) -> int:
        """The partition whose turn it is to get messages without a key."""
        self._turn = (self._turn + 1) % len(self.tps)
        return self.tps[self._turn]


class Topics:
    """Topics by name, read from the file when they are first asked for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._topics: dict[str, Topic] = {}

    def __getitem__(self, name: str) -> Topic:
        """Raises UserMistake where there is no such topic."""
        topic = self._topics.get(name)
        if topic is None:
            rows = self._connection.rows("SELECT tp FROM partitions WHERE topic=? ORDER BY partition", (name,))
            if not rows:
                raise unknown_topic(name)
            topic = self._topics[name] = Topic([tp for (tp,) in rows])
        return topic

    def forget(self) -> None:
        """Read them again: one that was known is gone."""
        self._topics.clear()


def unknown_topic(name: str) -> UserMistake:
    """What to tell whoever names a topic that is not there."""
    return UserMistake(f"topic {name} does not exist; `predictq topics ensure` creates the topics of the settings")
