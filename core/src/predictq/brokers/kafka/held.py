"""A partition in a member's hands."""

from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from predictq.brokers.kafka.driver import Place
from predictq.brokers.kafka.notes import Note
from predictq.brokers.port import Record

__all__ = ["DELAYS", "Held", "Run"]

DELAYS = -1
"""The level of a delays topic, which nobody is handed out."""


_value_of = itemgetter(3)
_BLANK = Note(0, 0, 0)


@dataclass(slots=True, eq=False)
class Held:
    """What the consumer knows about a partition from one assignment to its revocation.

    A partition that comes back is another `Held`: a record whose `Held` is not the current one belongs to others.
    """

    place: Place
    level: int
    """Precedence of its topic; 0 comes first."""
    off: int = -1
    """Everything below is settled; -1 until that is known."""
    note: Note = _BLANK
    """As it was last committed."""
    records: list[Record] = field(default_factory=list)
    """Fetched ahead; those before `at` are handed out."""
    at: int = 0
    handed: int = -1
    """Everything below was handed out, so long as nothing of it was put back."""
    size: int = 0
    """Bytes of the values that are fetched ahead."""
    singles: set[str] = field(default_factory=set)
    """Positions of records marked `alone`."""
    paused: bool = True
    leaving: bool = False
    """Given to another member, who waits for the batch in hand."""

    @property
    def out(self) -> int:
        """Everything below is settled or in hand."""
        return max(self.off, self.handed)

    @property
    def ahead(self) -> int:
        """How many records are fetched ahead."""
        return len(self.records) - self.at

    def add(self, records: list[Record]) -> None:
        """Keep what came, after what is there."""
        self.records = self.records[self.at :] + records
        self.at = 0
        self.size += sum(map(len, map(_value_of, records)))
        singles = [record[2] for record in records if record[5] and "alone" in record[5]]
        if singles:
            self.singles.update(singles)

    def take(self, records: list[Record]) -> None:
        """They are handed out: the first that are there."""
        self.at += len(records)
        self.handed = int(records[-1].position) + 1
        self.size -= sum(map(len, map(_value_of, records)))
        if self.singles:
            self.singles.difference_update([record.position for record in records])

    def put_back(self, records: list[Record]) -> None:
        """They are the next to be handed out again."""
        behind, self.records, self.at = self.records[self.at :], [], 0
        self.handed = -1
        self.add(records)
        self.records += behind


class Run(NamedTuple):
    """Successive records of one partition within a batch: `records[first:last]`."""

    held: Held
    first: int
    last: int
    end: int
    """Offset of the last one plus one."""
