"""How far a group is behind on a topic."""

import time

import apsw

from predictq.brokers.port import Lag
from predictq.brokers.sqlite.assignment import unknown_group
from predictq.brokers.sqlite.connection import fetch
from predictq.brokers.sqlite.schema import statement
from predictq.brokers.sqlite.topics import unknown_topic

__all__ = ["lag_of"]

_POSITIONS = """
SELECT p.tp, p.next, o.off, o.handed FROM offsets o JOIN partitions p ON p.tp = o.tp WHERE o.g=?1 AND p.topic=?2
"""
_OLDEST = "SELECT ts FROM records_N WHERE off >= ?1 ORDER BY off LIMIT 1"
_DELAYED = "SELECT count(*), min(ts) FROM delayed WHERE topic=?1"
_MEMBERS = "SELECT count(*) FROM members WHERE g=?1 AND topic=?2 AND abs(?3 - seen) < claim"


def lag_of(db: apsw.Connection, topic: str, group: str) -> Lag:
    positions = fetch(db, _POSITIONS, (group, topic))
    if not positions:
        if not fetch(db, "SELECT 1 FROM partitions WHERE topic=?", (topic,)):
            raise unknown_topic(topic)
        raise unknown_group(group)
    in_flight = sum(handed - off for _, _, off, handed in positions)
    ready = sum(end - handed for _, end, _, handed in positions)
    oldest = [row[0] for tp, end, off, _ in positions if end > off for row in fetch(db, statement(_OLDEST, tp), (off,))]
    [(delayed, oldest_delayed)] = fetch(db, _DELAYED, (topic,))
    if oldest_delayed is not None:
        oldest.append(oldest_delayed)
    [(members,)] = fetch(db, _MEMBERS, (group, topic, time.time()))
    return Lag(ready + delayed, in_flight, min(oldest, default=None), members)
