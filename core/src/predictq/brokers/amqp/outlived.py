"""Losses of a connection that this process has outlived.

RabbitMQ counts a message as redelivered whenever a connection ends that had it in hand, and cannot tell a network that
was cut from a process that was ended by its message. Who is still there can: it was the network. Without that, a few
cuts one after the other make a dead letter of whatever stands first in its queue.
"""

import threading
from collections.abc import Iterable

from predictq.brokers.port import Record

__all__ = ["Outlived"]

_MOST_TIMES = 10
"""What ends the connection each time it is handled is a culprit, though no process dies of it."""
_LONGEST = 10_000


class Outlived:
    """How often each record was in hand here when a connection was lost. May be used by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: dict[tuple[str, str], int] = {}

    def note(self, records: Iterable[Record]) -> None:
        """They were in hand."""
        with self._lock:
            for record in records:
                place = (record.topic, record.position)
                # Put in anew, so that those that were not seen for the longest time stand first.
                self._times[place] = min(self._times.pop(place, 0) + 1, _MOST_TIMES)
            for place in list(self._times)[: max(len(self._times) - _LONGEST, 0)]:
                del self._times[place]

    def forget(self, records: Iterable[Record]) -> None:
        """They are settled."""
        if self._times:
            with self._lock:
                for record in records:
                    self._times.pop((record.topic, record.position), None)

    def times(self, topic: str, position: str) -> int:
        """How often it was; the server counted each."""
        return self._times.get((topic, position), 0) if self._times else 0
