"""How long to wait before the same thing is tried again."""

import random

__all__ = ["Backoff"]


class Backoff:
    """Exponential waits with full jitter, so that many who lost the same server do not come back as one.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    def __init__(self, *, first_seconds: float = 0.1, max_seconds: float = 5.0) -> None:
        self._first = first_seconds
        self._max = max_seconds
        self._tries = 0

    def next_seconds(self) -> float:
        """The next wait; its upper bound doubles from call to call, and it is never below a tenth of that."""
        bound = min(self._first * 2.0**self._tries, self._max)
        self._tries = min(self._tries + 1, 32)
        return bound * random.uniform(0.1, 1.0)  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        """Start over: it worked."""
        self._tries = 0
