"""Creating and looking at topics and groups."""

import time
from collections.abc import Mapping, Sequence

import apsw

from predictq.brokers.port import Change, Health, Lag
from predictq.brokers.sqlite.assignment import unknown_group
from predictq.brokers.sqlite.connection import Connection, Place, fetch
from predictq.brokers.sqlite.schema import OFFSET_BITS
from predictq.brokers.sqlite.topics import unknown_topic
from predictq.errors import BrokerUnavailable, UserMistake
from predictq.topology import GroupSpec, TopicSpec, Topology

__all__ = ["SqliteAdmin"]

_MOST_AT_ONCE = 5_000

_TOPICS = "SELECT p.topic, count(*), t.retention FROM partitions p JOIN topics t ON t.topic = p.topic GROUP BY p.topic"
_READS = """
SELECT o.g, p.topic FROM offsets o JOIN partitions p ON p.tp = o.tp WHERE p.partition = 0
UNION SELECT g, NULL FROM consumer_groups
"""
_JOIN = """
INSERT INTO offsets(g, tp, off, handed)
SELECT ?1, tp, CASE ?3 WHEN 'end' THEN next ELSE low END, CASE ?3 WHEN 'end' THEN next ELSE low END
FROM partitions WHERE topic=?2
"""
_QUIT = "DELETE FROM offsets WHERE g=?1 AND tp IN (SELECT tp FROM partitions WHERE topic=?2)"
_POSITIONS = """
SELECT p.tp, p.next, o.off, o.handed FROM offsets o JOIN partitions p ON p.tp = o.tp WHERE o.g=?1 AND p.topic=?2
"""
_OLDEST = "SELECT ts FROM records WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1"
_DELAYED = "SELECT count(*), min(ts) FROM delayed WHERE topic=?1"
_MEMBERS = "SELECT count(*) FROM members WHERE g=?1 AND topic=?2 AND abs(?3 - seen) < claim"


class SqliteAdmin:
    """Creates and looks at topics and groups."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._connection = Connection(place)

    def ensure(self, topology: Topology, *, dry_run: bool = False, prune: bool = False) -> Sequence[Change]:
        """Create what is missing, in one transaction; several processes may do it at once."""
        with self._connection.transaction(durable=True) as db:
            changes = [
                *_ensure_topics(db, topology.topics),
                *_ensure_groups(db, topology.groups),
                *(_prune(db, topology) if prune else ()),
            ]
            if dry_run:
                db.execute("ROLLBACK")
                db.execute("BEGIN")
        return changes

    def topics(self) -> Mapping[str, int]:
        """Topics that exist, with their number of partitions."""
        return {topic: partitions for topic, partitions, _ in self._connection.rows(_TOPICS)}

    def lag(self, topic: str, group: str) -> Lag:
        """Exact at one moment. Raises UserMistake for an unknown topic or group."""
        with self._connection.reading() as db:
            db.execute("BEGIN")
            try:
                return _lag(db, topic, group)
            finally:
                db.execute("ROLLBACK")

    def health(self) -> Health:
        """Whether the file can be written."""
        try:
            with self._connection.transaction(durable=False):
                pass
        except BrokerUnavailable as error:
            return Health(ok=False, detail=str(error))
        return Health(ok=True, detail=f"{self._place.filename}, SQLite {apsw.sqlite_lib_version()}")

    def close(self) -> None:
        """Close the connection; may be called again."""
        self._connection.close()


def _ensure_topics(db: apsw.Connection, specs: Sequence[TopicSpec]) -> list[Change]:
    known = {topic: (partitions, retention) for topic, partitions, retention in fetch(db, _TOPICS)}
    changes: list[Change] = []
    for spec in specs:
        partitions, retention = known.get(spec.name, (0, spec.retention_seconds))
        if not partitions:
            db.execute("INSERT INTO topics(topic, retention) VALUES(?, ?)", (spec.name, spec.retention_seconds))
            rows = [(spec.name, i) for i in range(spec.partitions)]
            db.executemany("INSERT INTO partitions(topic, partition) VALUES(?, ?)", rows)
            changes.append(Change("create", f"topic {spec.name} ({_partitions(spec.partitions)})"))
        elif partitions != spec.partitions:
            raise UserMistake(
                f"topic {spec.name} has {_partitions(partitions)}, the settings ask for {spec.partitions}: keys would "
                f"change places, so the number is fixed; set `partitions = {partitions}` for its endpoint"
            )
        elif retention != spec.retention_seconds:
            db.execute("UPDATE topics SET retention=?2 WHERE topic=?1", (spec.name, spec.retention_seconds))
            changes.append(
                Change("change", f"topic {spec.name}: retention {retention:g} s -> {spec.retention_seconds:g} s")
            )
    return changes


def _ensure_groups(db: apsw.Connection, specs: Sequence[GroupSpec]) -> list[Change]:
    known = set(fetch(db, _READS))
    changes: list[Change] = []
    for spec in specs:
        if (spec.name, None) not in known:
            db.execute("INSERT INTO consumer_groups(g) VALUES(?)", (spec.name,))
            changes.append(Change("create", f"group {spec.name}"))
        for topic in spec.topics:
            if (spec.name, topic) in known:
                continue
            db.execute(_JOIN, (spec.name, topic, spec.start))
            if not db.changes():
                raise UserMistake(f"group {spec.name} reads {topic}, which is no topic of the topology")
            changes.append(Change("create", f"group {spec.name} on {topic}, from its {spec.start}"))
    return changes


def _prune(db: apsw.Connection, topology: Topology) -> list[Change]:
    under = f"{topology.prefix}."
    topics = {spec.name for spec in topology.topics}
    groups = {spec.name: set(spec.topics) for spec in topology.groups}
    changes: list[Change] = []
    for group, topic in fetch(db, _READS):
        if not group.startswith(under) or (group in groups and (topic is None or topic in groups[group])):
            continue
        if topic is None:
            db.execute("DELETE FROM consumer_groups WHERE g=?", (group,))
            db.execute("DELETE FROM members WHERE g=?", (group,))
            changes.append(Change("delete", f"group {group}"))
        else:
            db.execute(_QUIT, (group, topic))
            changes.append(Change("delete", f"group {group} on {topic}"))
    for topic in [name for name, _, _ in fetch(db, _TOPICS) if name.startswith(under) and name not in topics]:
        _delete_topic(db, topic)
        changes.append(Change("delete", f"topic {topic}"))
    return changes


def _delete_topic(db: apsw.Connection, topic: str) -> None:
    for (tp,) in fetch(db, "SELECT tp FROM partitions WHERE topic=?", (topic,)):
        db.execute("DELETE FROM records WHERE id >= ?1 AND id < ?2", (tp << OFFSET_BITS, (tp + 1) << OFFSET_BITS))
        db.execute("DELETE FROM offsets WHERE tp=?", (tp,))
    for statement in (
        "DELETE FROM delayed WHERE topic=?",
        "DELETE FROM members WHERE topic=?",
        "DELETE FROM partitions WHERE topic=?",
        "DELETE FROM topics WHERE topic=?",
    ):
        db.execute(statement, (topic,))


def _lag(db: apsw.Connection, topic: str, group: str) -> Lag:
    positions = fetch(db, _POSITIONS, (group, topic))
    if not positions:
        if not fetch(db, "SELECT 1 FROM partitions WHERE topic=?", (topic,)):
            raise unknown_topic(topic)
        raise unknown_group(group)
    in_flight = sum(handed - off for _, _, off, handed in positions)
    ready = sum(end - handed for _, end, _, handed in positions)
    oldest = [
        row[0]
        for tp, end, off, _ in positions
        if end > off
        for row in fetch(db, _OLDEST, ((tp << OFFSET_BITS) + off, (tp << OFFSET_BITS) + end))
    ]
    [(delayed, oldest_delayed)] = fetch(db, _DELAYED, (topic,))
    if oldest_delayed is not None:
        oldest.append(oldest_delayed)
    [(members,)] = fetch(db, _MEMBERS, (group, topic, time.time()))
    return Lag(ready + delayed, in_flight, min(oldest, default=None), members)


def _partitions(count: int) -> str:
    return f"{count} partition" if count == 1 else f"{count} partitions"
