"""Filling a batch from what was fetched ahead."""

from collections.abc import Callable
from operator import itemgetter

from predictq.brokers.kafka.held import DELAYS, Held, Run
from predictq.brokers.port import Record

__all__ = ["Gathering"]

_value_of = itemgetter(3)


class Gathering:
    """A batch in the making: looks at what is there and takes nothing away."""

    def __init__(self, held: list[Held], turn: int, max_messages: int, max_bytes: int) -> None:
        """From the partitions in their topics' order of precedence, those of one topic in turn; under the lock."""
        self.full = False
        """Whether waiting would bring nothing that may go into this batch."""
        self.records: list[Record] = []
        self.runs: list[Run] = []
        self._room = max_messages
        self._bytes = max_bytes
        levels: dict[int, list[Held]] = {}
        for one in held:
            if one.ahead and not one.leaving and one.level != DELAYS:
                levels.setdefault(one.level, []).append(one)
        for level in sorted(levels):
            there = levels[level]
            for i in range(len(there)):
                self._add(there[(i + turn) % len(there)])
                if self.full:
                    return

    def keep(self, good: Callable[[Run], bool]) -> None:
        """Leave out the runs of partitions that are not ours any more."""
        records: list[Record] = []
        runs: list[Run] = []
        for run in filter(good, self.runs):
            first = len(records)
            records += self.records[run.first : run.last]
            runs.append(run._replace(first=first, last=len(records)))
        self.records, self.runs = records, runs

    def _add(self, held: Held) -> None:
        """Take what fits from a partition.

        Records that were in the hands of a dead member are not mixed with what follows them, so that the count of
        redeliveries stays true for each. One marked `alone` comes alone.
        """
        records = held.records[held.at : held.at + self._room]
        redeliveries = held.note.redeliveries if int(records[0].position) < held.note.suspect else 0
        if redeliveries:
            suspects = [record for record in records if int(record.position) < held.note.suspect]
            self.full = len(suspects) < held.ahead
            records = [record._replace(redeliveries=redeliveries) for record in suspects]
        if held.singles:
            records = self._single(held, records)
        records = self._within_bytes(records)
        if not records:
            return
        first = len(self.records)
        self.records += records
        self._room -= len(records)
        self.runs.append(Run(held, first, len(self.records), int(records[-1].position) + 1))
        if self._room <= 0 or self._bytes <= 0:
            self.full = True

    def _single(self, held: Held, records: list[Record]) -> list[Record]:
        """Up to the first that is marked `alone`; it alone when nothing else is in the batch."""
        for i, record in enumerate(records):
            if record.position in held.singles:
                self.full = True
                return records[:i] if i else ([] if self.records else records[:1])
        return records

    def _within_bytes(self, records: list[Record]) -> list[Record]:
        size = sum(map(len, map(_value_of, records)))
        if size <= self._bytes:
            self._bytes -= size
            return records
        self.full = True
        for i, record in enumerate(records):
            if len(record.value) > self._bytes and (i or self.records):
                return records[:i]
            self._bytes -= len(record.value)
        return records
