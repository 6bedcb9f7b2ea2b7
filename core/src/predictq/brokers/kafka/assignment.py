"""The partitions that one member of a group holds: what the pump fills and the consumer empties."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from predictq.brokers.kafka.driver import Committed, Fetched, Place
from predictq.brokers.kafka.held import DELAYS, Held
from predictq.brokers.kafka.notes import Note, committed_of, note_of, taken_over

__all__ = ["Assignment"]


class Assignment:
    """Shared by the consumer's thread, the pump and the driver's threads; everything under one lock.

    Fulfils `driver.Listener`.
    """

    def __init__(self, levels: Mapping[str, int], handover_seconds: float) -> None:
        self.changed = threading.Condition()
        """Notified when records have come, and when something ends."""
        self.held: dict[Place, Held] = {}
        self.in_hand: Counter[Held] = Counter()
        """Those with records of batches that are in hand, and of how many."""
        self.arrivals = 0
        """How often records have come; so somebody can tell whether more have."""
        self._levels = levels
        self._handover_seconds = handover_seconds
        self._handover_until: float | None = None

    def assigned(self, places: Sequence[Place]) -> None:
        with self.changed:
            for place in places:
                self.held[place] = Held(place, self._levels[place.topic])

    def holds_back(self, places: Sequence[Place]) -> bool:
        now = time.monotonic()
        with self.changed:
            leaving = [held for place in places if (held := self.held.get(place))]
            for held in leaving:
                held.leaving = True
            if self.in_hand.keys().isdisjoint(leaving):
                self._handover_until = None
                return False
            if self._handover_until is None:
                self._handover_until = now + self._handover_seconds
            return now < self._handover_until

    def parting(self, places: Sequence[Place]) -> Mapping[Place, Committed]:
        with self.changed:
            self._handover_until = None
            return self.given_back(held for place in places if (held := self.held.get(place)))

    def revoked(self, places: Sequence[Place]) -> None:
        with self.changed:
            self._handover_until = None
            for place in places:
                if held := self.held.pop(place, None):
                    self.in_hand.pop(held, None)
            self.changed.notify_all()

    def forget(self) -> None:
        """Nothing is ours any more."""
        self.revoked(list(self.held))

    def given_back(self, held: Iterable[Held]) -> dict[Place, Committed]:
        """What to commit so that nothing of these counts as handed out, without those in hand; under the lock."""
        return {
            one.place: committed_of(one.off, one.note._replace(handed=one.off))
            for one in held
            if one.off >= 0 and one not in self.in_hand and (one.level == DELAYS or one.note.handed > one.off)
        }

    def let_go(self, held: Iterable[Held]) -> None:
        """A batch with records of these was settled; under the lock."""
        # Those that were revoked meanwhile are not counted any more.
        self.in_hand.subtract(one for one in held if one in self.in_hand)
        self.in_hand = +self.in_hand

    def new(self) -> list[Held]:
        """Those of which it is not known yet where they stand."""
        with self.changed:
            return [held for held in self.held.values() if held.off < 0]

    def position(self, found: Mapping[Held, Committed]) -> dict[Place, Committed]:
        """Take over where others have left off; returns what to commit, so that the count of a crash is kept."""
        crashed: dict[Place, Committed] = {}
        with self.changed:
            for held, committed in found.items():
                before = note_of(committed)
                held.off = committed.offset
                held.note = taken_over(committed.offset, before)
                if held.note is not before:
                    crashed[held.place] = committed_of(held.off, held.note)
            self.changed.notify_all()
        return crashed

    def store(self, fetched: Sequence[Fetched]) -> None:
        """Keep what has come, of partitions that are ours and whose place is known."""
        with self.changed:
            for place, records, _ in fetched:
                held = self.held.get(place)
                if held is None or held.off < 0:
                    continue
                held.add(records)
                self.arrivals += 1
            self.changed.notify_all()

    def filter(self, keep: Callable[[Held], bool]) -> list[Held]:
        """Partitions that are ours and positioned."""
        with self.changed:
            return [held for held in self.held.values() if held.off >= 0 and keep(held)]

    def is_current(self, held: Held) -> bool:
        """Whether it is still the same assignment; under the lock."""
        return self.held.get(held.place) is held

    def noted(self, offsets: Mapping[Held, tuple[int, Note]]) -> None:
        """What was committed."""
        with self.changed:
            for held, (off, note) in offsets.items():
                held.off, held.note = off, note
