"""How many clients may follow events at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from predictq.errors import Unavailable

__all__ = ["Room", "TooManyStreams"]


class TooManyStreams(Unavailable):
    """As many clients follow events as may; the same call works when one of them has left."""


class Room:
    """Places for clients, however they follow. For one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place for a client. Raises TooManyStreams."""
        if self.taken >= self._most:
            raise TooManyStreams(f"{self._most} clients follow events already; gateway.max_streams may be raised")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
