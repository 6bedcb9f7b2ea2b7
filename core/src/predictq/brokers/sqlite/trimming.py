"""Deleting what every group has settled and the topic's retention has let go; never anything that is unsettled.

The work is owed by whoever settles: twice as many records as it settled, in small transactions, so that no backlog of
them builds up and nobody stalls. The file keeps its largest size; pages that became free are used again.
"""

import time
from contextlib import suppress
from pathlib import Path

import apsw

from predictq.brokers.sqlite.connection import WAL_LIMIT_BYTES, Connection, fetch
from predictq.brokers.sqlite.schema import statement

__all__ = ["Trimmer"]

_SECONDS_BETWEEN = 1.0
_MOST_AT_ONCE = 5_000

_LET_GO = """
SELECT tp, low, settled, cutoff FROM (
    SELECT p.tp, p.low, ?1 - t.retention AS cutoff,
           coalesce((SELECT min(off) FROM offsets o WHERE o.tp = p.tp), p.next) AS settled
    FROM partitions p JOIN topics t ON t.topic = p.topic
) WHERE low < settled
"""
_OLD = "SELECT 1 FROM records_N WHERE off = ?1 AND ts < ?2"
_FIRST_KEPT = """
SELECT off FROM records_N WHERE off >= ?1 AND off < ?2 AND ts >= ?3 ORDER BY off LIMIT 1
"""
_DELETE = "DELETE FROM records_N WHERE off < ?1"
_RAISE = "UPDATE partitions SET low = ?2 WHERE tp = ?1"


class Trimmer:
    """Trims a little now and then on behalf of one consumer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._owed = 0
        self._behind = False
        self._next_at = 0.0

    def owe(self, settled: int) -> None:
        """Note that so many records were settled."""
        self._owed += 2 * settled

    def trim(self, *, idle: bool = False) -> None:
        """Look now and then; while there is much to delete, do some when idle or as soon as enough is owed."""
        now = time.monotonic()
        if now < self._next_at and not (self._behind and (idle or self._owed >= _MOST_AT_ONCE)):
            return
        self._owed, self._next_at = 0, now + _SECONDS_BETWEEN
        cutoff = time.time()
        deleted = 0
        if self._is_due(cutoff):
            with self._connection.transaction(durable=False) as db:
                deleted = _delete(db, cutoff)
        self._behind = deleted == _MOST_AT_ONCE
        self._bound_log()

    def _is_due(self, now: float) -> bool:
        """Whether there is anything to delete; asked without a lock."""
        with self._connection.snapshot() as db:
            for tp, low, _, cutoff in fetch(db, _LET_GO, (now,)):
                if fetch(db, statement(_OLD, tp), (low, cutoff)):
                    return True
        return False

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
    for tp, low, settled, cutoff in fetch(db, _LET_GO, (now,)):
        end = min(settled, low + room)
        kept = fetch(db, statement(_FIRST_KEPT, tp), (low, end, cutoff))
        end = kept[0][0] if kept else end
        if end > low:
            db.execute(statement(_DELETE, tp), (end,))
            db.execute(_RAISE, (tp, end))
            room -= end - low
    return _MOST_AT_ONCE - room


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
