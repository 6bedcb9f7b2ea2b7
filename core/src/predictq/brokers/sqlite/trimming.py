"""Deleting what every group has settled and the topic's retention has let go; never anything that is unsettled.

The work is owed by whoever settles: twice as many records as it settled, in small transactions, so that no backlog of
them builds up and nobody stalls. The file keeps its largest size; pages that became free are used again.
"""

import time
from contextlib import suppress
from pathlib import Path

import apsw

from predictq.brokers.sqlite.connection import WAL_LIMIT_BYTES, Connection, fetch
from predictq.brokers.sqlite.schema import OFFSET_BITS

__all__ = ["Trimmer"]

_SECONDS_BETWEEN = 1.0
_MOST_AT_ONCE = 5_000

_LET_GO = """
WITH part AS (
    SELECT p.tp, p.low, ?1 - t.retention AS cutoff,
           coalesce((SELECT min(off) FROM offsets o WHERE o.tp = p.tp), p.next) AS settled
    FROM partitions p JOIN topics t ON t.topic = p.topic
)
SELECT part.tp, part.low, part.settled, part.cutoff
FROM part JOIN records r ON r.id = (part.tp << ?2) + part.low
WHERE part.low < part.settled AND r.ts < part.cutoff
"""
_FIRST_KEPT = """
SELECT id FROM (SELECT id, ts FROM records WHERE id >= ?1 AND id < ?2 ORDER BY id) WHERE ts >= ?3 LIMIT 1
"""
_DELETE = "DELETE FROM records WHERE id >= ?1 AND id < ?2"
_RAISE = "UPDATE partitions SET low = ?2 WHERE tp = ?1"


class Trimmer:
    """Trims a little now and then on behalf of one consumer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._owed = 0
        self._next_at = 0.0

    def owe(self, settled: int) -> None:
        """Note that so many records were settled."""
        self._owed += 2 * settled

    def trim(self) -> None:
        """Do a little of the work if enough is owed, or some time has passed since the last."""
        now = time.monotonic()
        if now < self._next_at and self._owed < _MOST_AT_ONCE:
            return
        self._owed, self._next_at = 0, now + _SECONDS_BETWEEN
        cutoff = time.time()
        if self._connection.rows(f"{_LET_GO} LIMIT 1", (cutoff, OFFSET_BITS)):
            with self._connection.transaction(durable=False) as db:
                if _delete(db, cutoff) == _MOST_AT_ONCE:
                    self._next_at = now
        self._bound_log()

    def _bound_log(self) -> None:
        """Empty the write-ahead log where it is too long: under steady load it may never find a quiet moment."""
        place = self._connection.place
        if place.in_memory or _size(Path(f"{place.filename}-wal")) <= WAL_LIMIT_BYTES:
            return
        # Busy with somebody's read: the next time will do.
        with self._connection.reading() as db, suppress(apsw.BusyError):
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _delete(db: apsw.Connection, now: float) -> int:
    """Delete at most `_MOST_AT_ONCE` records; how many it were."""
    room = _MOST_AT_ONCE
    for tp, low, settled, cutoff in fetch(db, _LET_GO, (now, OFFSET_BITS)):
        base = tp << OFFSET_BITS
        if not room:
            break
        end = min(settled, low + room)
        kept = fetch(db, _FIRST_KEPT, (base + low, base + end, cutoff))
        end = kept[0][0] - base if kept else end
        db.execute(_DELETE, (base + low, base + end))
        db.execute(_RAISE, (tp, end))
        room -= end - low
    return _MOST_AT_ONCE - room


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
