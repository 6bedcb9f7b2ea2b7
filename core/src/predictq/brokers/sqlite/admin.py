"""Creating and looking at topics and groups."""

from collections.abc import Mapping, Sequence

import apsw

from predictq.brokers.port import Change, Health, Lag
from predictq.brokers.sqlite.connection import Connection, Place
from predictq.brokers.sqlite.ensuring import TOPICS, ensure_groups, ensure_topics
from predictq.brokers.sqlite.ensuring import prune as prune_away
from predictq.brokers.sqlite.lag import lag_of
from predictq.errors import BrokerUnavailable
from predictq.topology import Topology

__all__ = ["SqliteAdmin"]


class SqliteAdmin:
    """Creates and looks at topics and groups."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._connection = Connection(place)

    def ensure(self, topology: Topology, *, dry_run: bool = False, prune: bool = False) -> Sequence[Change]:
        """Create what is missing, in one transaction; several processes may do it at once."""
        with self._connection.transaction(durable=True) as db:
            changes = [
                *ensure_topics(db, topology.topics),
                *ensure_groups(db, topology.groups),
                *(prune_away(db, topology) if prune else ()),
            ]
            if dry_run:
                db.execute("ROLLBACK")
                db.execute("BEGIN")
        return changes

    def topics(self, prefix: str) -> Mapping[str, int]:
        """Topics that exist under the prefix, with their number of partitions."""
        under = f"{prefix}."
        return {topic: count for topic, count, _ in self._connection.rows(TOPICS) if topic.startswith(under)}

    def lag(self, topic: str, group: str) -> Lag:
        """Exact at one moment. Raises UserMistake for an unknown topic or group."""
        return self.lags([topic], group)[0]

    def lags(self, topics: Sequence[str], group: str) -> Sequence[Lag]:
        """Exact at one moment, the same for all. Raises UserMistake for an unknown topic or group."""
        with self._connection.snapshot() as db:
            return [lag_of(db, topic, group) for topic in topics]

    def health(self) -> Health:
        """Whether the file can be written, and has room."""
        try:
            with self._connection.transaction(durable=False) as db:
                # Leaves nothing behind, but needs room on the disk as a message does.
                db.execute("INSERT INTO members(g, topic, member, seen, claim) VALUES('', '', '', 0, 0)")
                db.execute("DELETE FROM members WHERE g=''")
        except BrokerUnavailable as error:
            return Health(ok=False, detail=str(error))
        return Health(ok=True, detail=f"{self._place.filename}, SQLite {apsw.sqlite_lib_version()}")

    def close(self) -> None:
        """Close the connection; may be called again."""
        self._connection.close()
