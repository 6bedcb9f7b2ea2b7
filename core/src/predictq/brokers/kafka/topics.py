"""What a sender knows about topics: into which partition a message goes."""

from predictq.brokers.kafka.driver import Place, Sender
from predictq.brokers.partitions import partition_of
from predictq.errors import UserMistake

__all__ = ["DELAYS_SUFFIX", "Topics", "delays_of", "is_internal", "is_retries", "unknown_group", "unknown_topic"]

DELAYS_SUFFIX = ".delays"
_KEYS_REMEMBERED = 10_000


class _Topic:
    __slots__ = ("of_key", "places", "turn")

    def __init__(self, places: list[Place]) -> None:
        self.places = places
        self.turn = 0
        self.of_key: dict[bytes, Place] = {}


class Topics:
    """Topics by name, asked for when they are first used."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._topics: dict[str, _Topic] = {}

    def place(self, topic: str, key: bytes | None) -> Place:
        """Where a message goes: by its key, else to all partitions in turn. Raises UserMistake for no such topic."""
        known = self._topics.get(topic) or self._ask(topic)
        if key is None:
            known.turn = turn = (known.turn + 1) % len(known.places)
            return known.places[turn]
        place = known.of_key.get(key)
        if place is None:
            if len(known.of_key) >= _KEYS_REMEMBERED:
                known.of_key.clear()
            place = known.of_key[key] = known.places[partition_of(key, len(known.places))]
        return place

    def forget(self) -> None:
        """Ask again: one that was known is gone."""
        self._topics.clear()
        self._sender.forget()

    def _ask(self, topic: str) -> _Topic:
        count = self._sender.partitions(topic)
        if not count:
            raise unknown_topic(topic)
        known = self._topics[topic] = _Topic([Place(topic, i) for i in range(count)])
        return known


def is_retries(topic: str) -> bool:
    """Whether it is some deployment's retry topic."""
    return topic.split(".")[2:3] == ["retries"] and not is_internal(topic)


def delays_of(retry_topic: str) -> str:
    """The topic beside a retry topic on which its copies wait."""
    return retry_topic + DELAYS_SUFFIX


def is_internal(topic: str) -> bool:
    """Whether only this adapter knows the topic."""
    return topic.endswith(DELAYS_SUFFIX)


def unknown_topic(name: str) -> UserMistake:
    """What to tell whoever names a topic that is not there."""
    return UserMistake(f"topic {name} does not exist; `predictq topics ensure` creates the topics of the settings")


def unknown_group(name: str) -> UserMistake:
    """What to tell whoever names a group that is not there."""
    return UserMistake(f"group {name} does not exist; `predictq topics ensure` creates the groups of the settings")
