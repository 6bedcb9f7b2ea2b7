"""What is known of each receiver: how much it may be sent now, and whether it is to be left alone."""

import asyncio
import logging
import time
from collections.abc import Callable

from predictq.loop import Backoff
from predictq.push.settings import PushSettings
from predictq_sync.webhooks.posting import Answer

__all__ = ["Receiver"]

log = logging.getLogger(__name__)

MOST_IN_HAND = 500
OPEN_FACTOR = 10.0


class Receiver:
    """One place: a scheme, host and port. For one event loop.

    What is in hand for it is bounded by what it took within the last second, so that a slow one never holds much; the
    circuit breaker keeps one that is away from being tried for every message.
    """

    def __init__(self, place: str, push: PushSettings, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.place = place
        self.turns = asyncio.Semaphore(push.host_concurrency)
        self.in_hand = 0
        self._least = 2 * push.host_concurrency
        self._push = push
        self._monotonic = monotonic
        self._failures = 0
        seconds = push.breaker_seconds
        self._backoff = Backoff(first_seconds=seconds, max_seconds=OPEN_FACTOR * seconds)
        self._open_until = float("-inf")
        self._second = 0
        self._taken = self._taken_before = 0

    @property
    def seconds_closed(self) -> float:
        """How long it is left alone from now on; 0 when it may be tried."""
        return max(self._open_until - self._monotonic(), 0.0)

    def room(self) -> int:
        """How many deliveries may be taken for it now."""
        if self.seconds_closed:
            return 0
        if self._failures >= self._push.breaker_failures:
            return int(self.in_hand == 0)
        self._count(0)
        window = min(max(self._least, self._taken_before, self._taken), MOST_IN_HAND)
        return max(window - self.in_hand, 0)

    def note(self, answer: Answer, now: float) -> None:
        """Learn from an answer. `now` is Unix seconds."""
        if not answer.overloaded:
            if self._failures >= self._push.breaker_failures:
                log.info("webhooks: %s answers again", self.place)
            self._failures = 0
            self._backoff.reset()
            self._count(1)
            return
        self._failures += 1
        pause = answer.retry_after_seconds(now)
        # Those that were under way together say one thing, and not each of them the next.
        if self._failures >= self._push.breaker_failures and not self.seconds_closed:
            pause = max(pause, self._backoff.next_seconds())
            log.warning("webhooks: %s is left alone for %.0f s: %s", self.place, pause, answer.error)
        if pause:
            pause = min(pause, OPEN_FACTOR * self._push.breaker_seconds)
            self._open_until = max(self._open_until, self._monotonic() + pause)

    def _count(self, taken: int) -> None:
        second = int(self._monotonic())
        if second != self._second:
            self._taken_before = self._taken if second == self._second + 1 else 0
            self._taken, self._second = 0, second
        self._taken += taken
