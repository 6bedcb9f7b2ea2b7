"""Filling a batch from what the server hands out."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic_core import from_json

from predictq.brokers.port import NO_HEADERS, Record
from predictq.brokers.redis.connection import Answer

__all__ = ["Gathering", "Run", "Source"]


_WITH_KEY = 4
"""Words of an entry that has a value and a key."""


class Source(NamedTuple):
    """A partition that a consumer reads."""

    topic: str
    partition: int
    stream: str


class Run(NamedTuple):
    """Records of one partition within a batch: `records[first:last]`, whose entries have these ids."""

    source: Source
    ids: list[bytes]
    first: int
    last: int


class Gathering:
    """A batch that is being filled."""

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self.room = max_messages
        self.bytes = max_bytes
        self.full = False
        """Whether waiting would bring nothing that may go into this batch."""
        self.records: list[Record] = []
        self.runs: list[Run] = []

    def add(self, source: Source, entries: Sequence[Answer], redeliveries: Sequence[int] = ()) -> int:
        """Take what fits of the entries, as XREADGROUP tells them, that were claimed from a partition; how many it was.

        The first of a batch always fits; one marked `alone` fits into an empty batch and fills it.
        """
        records, first = self.records, len(self.records)
        topic, partition, _ = source
        new, room, size = tuple.__new__, self.room, self.bytes
        if self.full:
            return 0
        for entry_id, fields in entries:
            value = fields[1]
            size -= len(value)
            position = entry_id.decode()
            key, headers, published_at = None, NO_HEADERS, int(position[:13]) / 1000
            if len(fields) == _WITH_KEY and fields[2] == b"k":
                key = fields[3]
            elif len(fields) > 2:
                key, headers, published_at, self.full = _rest(fields, published_at)
            if room == 0 or ((size < 0 or self.full) and records):
                self.full = True
                break
            room -= 1
            records.append(new(Record, (topic, partition, position, value, key, headers, published_at, 0)))
            if self.full:
                break
        taken = len(records) - first
        for i, count in zip(range(first, len(records)), redeliveries, strict=False):
            records[i] = records[i]._replace(redeliveries=count)
        if taken:
            self.runs.append(Run(source, [entry[0] for entry in entries[:taken]], first, len(records)))
        self.room, self.bytes = room, max(size, 0)
        self.full = self.full or room == 0 or size <= 0
        return taken


def _rest(fields: Sequence[bytes], published_at: float) -> tuple[bytes | None, Mapping[str, str], float, bool]:
    """Key, headers, publish time (the entry's own where no other is told), and whether it comes alone."""
    told = dict(zip(fields[2::2], fields[3::2], strict=True))
    headers = from_json(told[b"h"]) if b"h" in told else NO_HEADERS
    return told.get(b"k"), headers, int(told[b"t"]) / 1000 if b"t" in told else published_at, b"a" in told
