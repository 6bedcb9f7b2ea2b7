"""Reading without a group: every partition, from now on, with nothing written down."""

from predictq.brokers.port import Subscription
from predictq.brokers.redis.assignment import sources_of
from predictq.brokers.redis.connection import RedisConnection
from predictq.brokers.redis.reading import Gathering, Source
from predictq.brokers.redis.topics import Topics

__all__ = ["Broadcast"]


class Broadcast:
    """All partitions of the topics, from where they stood when this was made. Nothing of it can be lost to another."""

    due_seconds: float | None = None
    """Nothing is delayed."""

    def __init__(self, connection: RedisConnection, subscription: Subscription, topics: Topics) -> None:
        self._connection = connection
        self._sources = [source for name in subscription.topics for source in sources_of(topics, name)]
        self._reached: dict[Source, bytes] = {}
        for source, info in zip(
            self._sources,
            connection.calls([("XINFO", "STREAM", source.stream) for source in self._sources]),
            strict=True,
        ):
            self._reached[source] = dict(zip(info[::2], info[1::2], strict=True))[b"last-generated-id"]

    def take(self, gathering: Gathering) -> None:
        """What there is."""
        self._read(gathering, ())

    def wait(self, gathering: Gathering, seconds: float) -> None:
        """Wait for what comes next, and take it."""
        self._read(gathering, ("BLOCK", max(int(seconds * 1000), 1)), seconds)

    def wants_empty_hands(self) -> bool:
        """Nothing is held."""
        return False

    def doubt(self) -> None:
        """Whatever was read and not handed out is read again."""

    def leave(self) -> None:
        """Nothing to give back."""

    def _read(self, gathering: Gathering, block: tuple[str | int, ...], seconds: float = 0.0) -> None:
        streams = {source.stream.encode(): source for source in self._sources}
        reached = [self._reached[source] for source in self._sources]
        answer = self._connection.call(
            "XREAD", "COUNT", gathering.room, *block, "STREAMS", *streams, *reached, wait_seconds=seconds
        )
        for stream, entries in answer or ():
            source = streams[stream]
            taken = gathering.add(source, entries)
            if taken:
                self._reached[source] = entries[taken - 1][0]
