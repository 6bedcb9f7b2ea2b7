"""Making the topics and groups of the file those of a topology."""

from collections.abc import Sequence

import apsw

from predictq.brokers.port import Change
from predictq.brokers.sqlite.connection import fetch
from predictq.brokers.sqlite.schema import CREATE_RECORDS, DROP_RECORDS, statement
from predictq.errors import UserMistake
from predictq.topology import GroupSpec, TopicSpec, Topology

__all__ = ["TOPICS", "ensure_groups", "ensure_topics", "prune"]

TOPICS = "SELECT p.topic, count(*), t.retention FROM partitions p JOIN topics t ON t.topic = p.topic GROUP BY p.topic"
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


def ensure_topics(db: apsw.Connection, specs: Sequence[TopicSpec]) -> list[Change]:
    """Create what is missing. Raises UserMistake where a topic has another number of partitions."""
    known = {topic: (partitions, retention) for topic, partitions, retention in fetch(db, TOPICS)}
    changes: list[Change] = []
    for spec in specs:
        partitions, retention = known.get(spec.name, (0, spec.retention_seconds))
        if not partitions:
            db.execute("INSERT INTO topics(topic, retention) VALUES(?, ?)", (spec.name, spec.retention_seconds))
            rows = [(spec.name, i) for i in range(spec.partitions)]
            for row in rows:
                db.execute("INSERT INTO partitions(topic, partition) VALUES(?, ?)", row)
                db.execute(statement(CREATE_RECORDS, db.last_insert_rowid()))
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


def ensure_groups(db: apsw.Connection, specs: Sequence[GroupSpec]) -> list[Change]:
    """Create what is missing, at the topic's end unless the spec says otherwise."""
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


def prune(db: apsw.Connection, topology: Topology) -> list[Change]:
    """Delete topics and groups that are under the topology's prefix and not in it."""
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
    for topic in [name for name, _, _ in fetch(db, TOPICS) if name.startswith(under) and name not in topics]:
        _delete_topic(db, topic)
        changes.append(Change("delete", f"topic {topic}"))
    return changes


def _delete_topic(db: apsw.Connection, topic: str) -> None:
    for (tp,) in fetch(db, "SELECT tp FROM partitions WHERE topic=?", (topic,)):
        db.execute(statement(DROP_RECORDS, tp))
        db.execute("DELETE FROM offsets WHERE tp=?", (tp,))
    for table in ("delayed", "members", "partitions", "topics"):
        db.execute(f"DELETE FROM {table} WHERE topic=?", (topic,))  # noqa: S608 - one of the four above


def _partitions(count: int) -> str:
    return f"{count} partition" if count == 1 else f"{count} partitions"
