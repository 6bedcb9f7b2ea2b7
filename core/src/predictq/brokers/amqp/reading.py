"""Filling a batch from what was fetched."""

import heapq
import time
from collections.abc import Sequence

from predictq.brokers.amqp.fetching import Fetched, Fetching
from predictq.brokers.amqp.queues import DELAY_STEPS_MS

__all__ = ["Gathering", "Held"]

_SOON_SECONDS = DELAY_STEPS_MS[0] / 1000


class Held:
    """Records that are due so soon that they wait here."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Fetched]] = []
        self._number = 0

    def add(self, fetched: Fetched) -> None:
        """Keep it until it is due."""
        self._number += 1
        heapq.heappush(self._heap, (fetched.own.due_ms, self._number, fetched))

    def due(self, now_ms: float) -> Fetched | None:
        """The next one that is due; it stays."""
        return self._heap[0][2] if self._heap and self._heap[0][0] <= now_ms else None

    def pop(self) -> Fetched:
        """Take out the next one."""
        return heapq.heappop(self._heap)[2]

    def next_in_seconds(self) -> float | None:
        """When to look again."""
        return max(self._heap[0][0] / 1000 - time.time(), 0.0) if self._heap else None

    def everything(self) -> list[Fetched]:
        """Take out all."""
        heap, self._heap = self._heap, []
        return [fetched for _, _, fetched in heap]


class Gathering:
    """A batch that is being filled, within its bounds."""

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self.taken: list[Fetched] = []
        self.full = False
        """Whether waiting would bring nothing that may go into this batch."""
        self.misplaced: list[Fetched] = []
        """What must not be handed out here and now: due later, or to come alone."""
        self._messages = max_messages
        self._bytes = max_bytes

    def take(self, fetchings: Sequence[Fetching], held: Held) -> None:
        """Each topic only when those before it have nothing more."""
        now_ms = time.time() * 1000
        while not self.full and (due := held.due(now_ms)) is not None and self._fits(due):
            held.pop()
        for fetching in fetchings:
            if self.full:
                return
            if fetching.queues.alone is not None:
                self._sort_out(fetching, held, now_ms)
            else:
                self._take_all(fetching)

    def _take_all(self, fetching: Fetching) -> None:
        waiting, taken, room, bytes_left = fetching.waiting, self.taken, self._messages, self._bytes
        while waiting:
            fetched = waiting[0]
            bytes_left -= len(fetched[0][3])
            if bytes_left < 0 and taken:
                self.full = True
                break
            taken.append(fetched)
            waiting.popleft()
            if len(taken) >= room or bytes_left <= 0:
                self.full = True
                break
        self._bytes = bytes_left

    def _sort_out(self, fetching: Fetching, held: Held, now_ms: float) -> None:
        """Retries: what is due comes, what is soon due waits here, what is due later goes back to its delay."""
        waiting = fetching.waiting
        while waiting and not self.full:
            fetched = waiting[0]
            ahead_ms = fetched.own.due_ms - now_ms
            if fetched.record.alone or ahead_ms > 1000 * _SOON_SECONDS:
                self.misplaced.append(waiting.popleft())
            elif ahead_ms > 0:
                held.add(waiting.popleft())
            elif self._fits(fetched):
                waiting.popleft()

    def _fits(self, fetched: Fetched) -> bool:
        size = len(fetched.record.value)
        if self.taken and size > self._bytes:
            self.full = True
            return False
        self.taken.append(fetched)
        self._bytes -= size
        self.full = len(self.taken) >= self._messages or self._bytes <= 0
        return True
