"""When a call that failed is sent again, and when it is given up. Without I/O: whoever sends also sleeps."""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from predictq_producers.client.errors import GatewayUnavailable

__all__ = ["Attempts", "retry_after"]

FIRST_SECONDS = 0.2
MOST_SECONDS = 10.0


class Attempts:
    """The attempts of one call: pauses that double, each drawn at random, within a time that is bounded."""

    def __init__(
        self,
        seconds: float,
        *,
        from_first_failure: bool = False,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """With `from_first_failure` the time starts then: what sends a large file may take as long as it does."""
        self._seconds = seconds
        self._clock = clock
        self._draw = draw
        self._until = None if from_first_failure else clock() + seconds
        self._failures = 0

    @property
    def left_seconds(self) -> float:
        """Never below a moment, so that a call which is due at its very end still has one."""
        return self._seconds if self._until is None else max(self._until - self._clock(), 0.05)

    def pause_seconds(self, why: str, *, status: int | None = None, at_least_seconds: float = 0.0) -> float:
        """How long to sleep before the next attempt. Raises GatewayUnavailable where that would be too late."""
        now = self._clock()
        if self._until is None:
            self._until = now + self._seconds
        ceiling = min(FIRST_SECONDS * 2.0 ** min(self._failures, 16), MOST_SECONDS)
        self._failures += 1
        pause: float = max(at_least_seconds, 0.0) + ceiling * self._draw()
        if now + pause >= self._until:
            tries = "once" if self._failures == 1 else f"{self._failures} times"
            raise GatewayUnavailable(f"{why} (tried {tries} within {self._seconds:g} s)", status=status)
        return pause


def retry_after(value: str | None) -> float:
    """Seconds that a `Retry-After` header asks for (RFC 9110), as a number or a date; 0 where it says nothing."""
    if value is None:
        return 0.0
    if value.strip().isdecimal():
        return float(value[:9])
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max((at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0.0)
