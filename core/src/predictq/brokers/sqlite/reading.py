"""Filling a batch from the partitions that a consumer holds."""

from typing import NamedTuple

from pydantic_core import from_json

from predictq.brokers.port import NO_HEADERS, Record
from predictq.brokers.sqlite.connection import Connection
from predictq.brokers.sqlite.held import Held
from predictq.brokers.sqlite.schema import statement

__all__ = ["Gathering", "Run"]

_READ = "SELECT off, value, key, headers, ts FROM records_N WHERE off >= ? AND off < ? ORDER BY off LIMIT ?"


class Run(NamedTuple):
    """Successive records of one partition within a batch: `records[first:last]`, offsets from `off` to below `end`."""

    held: Held
    epoch: int
    off: int
    end: int
    first: int
    last: int


class Gathering:
    """A batch that is being filled."""

    def __init__(self, connection: Connection, max_messages: int, max_bytes: int) -> None:
        self._connection = connection
        self._room = max_messages
        self._bytes = max_bytes
        self.full = False
        """Whether waiting would bring nothing that may go into this batch."""
        self.records: list[Record] = []
        self.runs: list[Run] = []
        self._reached: dict[int, int] = {}

    def read(self, held: Held) -> None:
        """Take what fits from a partition, going on where the last read of it ended.

        Records that were in the hands of a dead member are not mixed with what follows them, so that the count of
        redeliveries stays true for each. One marked `alone` comes alone.
        """
        off = self._reached.get(held.tp, held.off)
        redeliveries = held.redeliveries if off < held.suspect else 0
        end = held.suspect if redeliveries else held.next
        if off >= end:
            return
        first = len(self.records)
        records, topic, partition, room = self.records, held.topic, held.partition, self._bytes
        new, at = tuple.__new__, off - 1
        with self._connection.reading() as db:
            cursor = db.execute(statement(_READ, held.tp), (off, end, self._room - first))
            try:
                for here, value, key, packed, ts in cursor:
                    room -= len(value)
                    headers = NO_HEADERS
                    if packed is not None:
                        headers = from_json(packed)
                        self.full = "alone" in headers
                    if (room < 0 or self.full) and records:
                        self.full = True
                        break
                    at = here
                    records.append(new(Record, (topic, partition, str(at), value, key, headers, ts, redeliveries)))
                    if self.full:
                        break
            finally:
                cursor.close()
        self._bytes = room
        if len(records) > first:
            self._reached[held.tp] = at + 1
            self.runs.append(Run(held, held.epoch, off, at + 1, first, len(records)))
        if len(records) == self._room or room <= 0 or (redeliveries and held.next > end):
            self.full = True

    def drop(self, lost: set[int]) -> None:
        """Leave out the runs of partitions that were lost, by their numbers."""
        kept = [run for run in self.runs if run.held.tp not in lost]
        records: list[Record] = []
        self.runs = []
        for run in kept:
            first = len(records)
            records += self.records[run.first : run.last]
            self.runs.append(run._replace(first=first, last=len(records)))
        self.records = records
