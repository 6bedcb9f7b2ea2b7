"""Moving retries on when their time has come."""

import time
from collections.abc import Callable

from predictq.brokers.kafka.assignment import Assignment
from predictq.brokers.kafka.delayed import held_until, moved_on
from predictq.brokers.kafka.driver import Member, Rebalancing
from predictq.brokers.kafka.held import DELAYS, Held
from predictq.brokers.kafka.notes import Note, committed_of
from predictq.brokers.port import Message, Record

__all__ = ["Mover"]

_MOST_AT_ONCE = 500
_LONGEST_WAIT_SECONDS = 60.0


class Mover:
    """Moves what is due, out of the partitions of the delays topic that this member holds. For the pump's thread."""

    def __init__(
        self, assignment: Assignment, publish: Callable[[list[Message]], None], request_seconds: float
    ) -> None:
        self._assignment = assignment
        self._publish = publish
        self._request_seconds = request_seconds
        self._uncommitted: set[Held] = set()

    def move_due(self, member: Member) -> float:
        """Move what is due, and say in how many seconds there is more."""
        now = time.time()
        wait = _LONGEST_WAIT_SECONDS
        messages: list[Message] = []
        for held in self._assignment.filter(lambda one: one.level == DELAYS):
            due: list[Record] = []
            for record in held.records[held.at : held.at + _MOST_AT_ONCE]:
                until = held_until(record)
                if until > now:
                    wait = min(wait, until - now)
                    break
                due.append(record)
                messages.append(moved_on(record, now))
            if due:
                self._advance(held, due)
        if messages:
            self._publish(messages)
        if self._uncommitted:
            self._commit(member)
        return 0.0 if messages else wait

    def _advance(self, held: Held, records: list[Record]) -> None:
        with self._assignment.changed:
            held.take(records)
            held.off = int(records[-1].position) + 1
            held.note = Note(held.off, held.off, 0)
        self._uncommitted.add(held)

    def _commit(self, member: Member) -> None:
        """What was moved is behind us; while the group is rebalancing, with the next turn or when it is given away."""
        with self._assignment.changed:
            self._uncommitted = {held for held in self._uncommitted if self._assignment.is_current(held)}
            offsets = {held.place: committed_of(held.off, held.note) for held in self._uncommitted}
        if not offsets:
            return
        try:
            member.commit(offsets, self._request_seconds)
        except Rebalancing:
            return
        self._uncommitted.clear()
