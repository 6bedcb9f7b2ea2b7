"""What a process does every so often that reads no topic."""

import logging
import threading
from collections.abc import Callable

from predictq.errors import Unavailable
from predictq.loop.backoff import Backoff
from predictq.loop.stop import Stop

__all__ = ["Rounds"]

log = logging.getLogger(__name__)


class Rounds:
    """Calls one thing again and again until it is stopped, in a thread of its own: nothing else waits for it."""

    def __init__(self, *, name: str, call: Callable[[Stop], None], every_seconds: float) -> None:
        """`call` gets the signal to stop, and ends early when it is set. Unavailable is waited for."""
        self.name = name
        self.ready = threading.Event()
        """Set from the start; cleared while what the calls need is away."""
        self._call = call
        self._every_seconds = every_seconds

    def run(self, stop: Stop) -> None:
        """Block until `stop` is set. Raises what no waiting can mend."""
        backoff = Backoff()
        self.ready.set()
        while not stop.is_set():
            try:
                self._call(stop)
            except Unavailable as error:
                self.ready.clear()
                seconds = backoff.next_seconds()
                log.warning("%s: %s; next try in %.1f s", self.name, error, seconds)
                stop.wait(seconds)
            else:
                self.ready.set()
                backoff.reset()
                stop.wait(self._every_seconds)
