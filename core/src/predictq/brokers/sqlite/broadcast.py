"""Reading without a group: every partition, from now on, with nothing written down."""

from collections.abc import Iterable, Sequence

import apsw

from predictq.brokers.port import Subscription
from predictq.brokers.sqlite.connection import Connection
from predictq.brokers.sqlite.held import Held
from predictq.brokers.sqlite.reading import Run
from predictq.brokers.sqlite.settling import Outcome
from predictq.brokers.sqlite.topics import unknown_topic

__all__ = ["Broadcast"]

_PARTITIONS = "SELECT topic, partition, tp, next FROM partitions WHERE topic=? ORDER BY partition"


class Broadcast:
    """All partitions of the topics, from where they stood when this was made. Nothing of it can be lost to another."""

    def __init__(self, connection: Connection, subscription: Subscription) -> None:
        self.held: dict[str, list[Held]] = {topic: _from_now_on(connection, topic) for topic in subscription.topics}

    def renew(self) -> None:
        """Nothing to renew."""

    def sign(self) -> None:
        """Nobody to give a sign to."""

    def stale(self) -> bool:
        """Never: all partitions are read, whoever else reads them."""
        return False

    def hand_out(self, _runs: Sequence[Run]) -> set[int]:
        """Nothing to write down, nothing lost."""
        return set()

    def advance(self, _db: apsw.Connection, _outcome: Outcome) -> bool:
        """Always its own."""
        return True

    def give_back(self) -> None:
        """Read nothing more."""
        self.held = {topic: [] for topic in self.held}

    def everything(self) -> Iterable[Held]:
        """All partitions, in the topics' order of precedence."""
        return [held for partitions in self.held.values() for held in partitions]


def _from_now_on(connection: Connection, topic: str) -> list[Held]:
    rows = connection.rows(_PARTITIONS, (topic,))
    if not rows:
        raise unknown_topic(topic)
    return [Held(*row) for row in rows]
