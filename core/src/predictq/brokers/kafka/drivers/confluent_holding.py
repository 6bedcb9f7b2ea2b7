"""Pausing without librdkafka's pause.

librdkafka throws away what it has fetched of a partition when it is paused, and when all are, it may sleep a second
after one is resumed. So what comes of a paused partition is held here instead, until it is too much.
"""

from collections.abc import Iterable, Sequence

from predictq.brokers.kafka.driver import Fetched, Place

__all__ = ["Holding"]

_TOO_MANY = 2_000


class _Kept:
    """A partition that is ours."""

    __slots__ = ("begin", "count", "paused", "runs", "stopped")

    def __init__(self, begin: int) -> None:
        self.begin = begin
        """Offset of the next record that `poll` hands out."""
        self.paused = True
        self.stopped = False
        """Whether librdkafka has been told to pause it."""
        self.runs: list[Fetched] = []
        self.count = 0

    @property
    def end(self) -> int:
        """Offset of the next record that librdkafka brings."""
        return self.runs[-1].end if self.runs else self.begin


class Holding:
    """Places that are ours, and what came of the paused ones."""

    def __init__(self) -> None:
        self._kept: dict[Place, _Kept] = {}
        self._ready: set[Place] = set()
        self._awake = 0

    @property
    def asleep(self) -> bool:
        """Whether all that is ours is paused."""
        return bool(self._kept) and not self._awake

    def add(self, place: Place, begin: int) -> None:
        """Ours from now on, and paused."""
        self.remove(place)
        self._kept[place] = _Kept(begin)

    def remove(self, place: Place) -> None:
        kept = self._kept.pop(place, None)
        self._ready.discard(place)
        if kept is not None and not kept.paused:
            self._awake -= 1

    def pause(self, places: Iterable[Place]) -> None:
        for place in places:
            kept = self._kept.get(place)
            if kept is not None and not kept.paused:
                kept.paused = True
                self._awake -= 1
                self._ready.discard(place)

    def resume(self, places: Iterable[Place]) -> dict[Place, int]:
        """Those that librdkafka must be told to resume, and from where."""
        told = {}
        for place in places:
            kept = self._kept.get(place)
            if kept is None or not kept.paused:
                continue
            kept.paused = False
            self._awake += 1
            if kept.runs:
                self._ready.add(place)
            if kept.stopped:
                kept.stopped = False
                told[place] = kept.end
        return told

    def seek(self, place: Place, offset: int) -> bool:
        """Whether librdkafka must be told; it need not where the next record is the one that is wanted."""
        kept = self._kept[place]
        if kept.begin == offset:
            return False
        kept.begin, kept.runs, kept.count = offset, [], 0
        self._ready.discard(place)
        return True

    def ready(self, max_records: int) -> list[Fetched]:
        """What was held of places that are resumed by now."""
        runs: list[Fetched] = []
        room = max_records
        for place in list(self._ready):
            kept = self._kept[place]
            while kept.runs and room > 0:
                run = kept.runs.pop(0)
                kept.count -= len(run.records)
                kept.begin = run.end
                room -= len(run.records)
                runs.append(run)
            if not kept.runs:
                self._ready.discard(place)
        return runs

    def sort(self, runs: Sequence[Fetched]) -> tuple[list[Fetched], list[Place]]:
        """What may be handed out now, and places of which so much is held that librdkafka should pause them."""
        out = []
        full = []
        for run in runs:
            kept = self._kept.get(run.place)
            if kept is None:
                continue
            if kept.paused or kept.runs:
                kept.runs.append(run)
                kept.count += len(run.records)
                if not kept.paused:
                    self._ready.add(run.place)
                elif kept.count > _TOO_MANY and not kept.stopped:
                    kept.stopped = True
                    full.append(run.place)
            else:
                kept.begin = run.end
                out.append(run)
        return out, full
