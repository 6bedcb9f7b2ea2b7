"""Work on files stands back: it gets the processor where nothing else on the machine wants it."""

import os
import sys
import threading

from predictq.loop import Stop
from predictq.process import Running

__all__ = ["StandingBack"]


class StandingBack:
    """Runs a loop, and whatever threads it starts, at another niceness than its process."""

    def __init__(self, loop: Running, nice: int) -> None:
        """`nice` is from 0 to 19; a process that stands back further itself keeps its own."""
        self.name = loop.name
        self.ready = loop.ready
        self._loop = loop
        self._nice = nice

    def run(self, stop: Stop) -> None:
        """Block until `stop` is set. Raises what the loop raises."""
        if sys.platform == "linux":  # elsewhere niceness is the whole process's, and requests come in by it too
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, max(self._nice, os.getpriority(os.PRIO_PROCESS, thread)))
        self._loop.run(stop)
