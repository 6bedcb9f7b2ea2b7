"""Ends the process when one call takes longer than it may."""

import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["EXIT_CODE", "Watchdog"]

log = logging.getLogger(__name__)

EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h


class Watchdog:
    """A call that hangs in native code can be ended by nothing but the end of its process, which counts as a crash.

    One for a process: behind it stands `faulthandler`'s only timer, for code that hangs without letting go of the
    interpreter, so that no thread of Python's could notice. That end has exit code 1 and leaves a traceback.
    """

    def __init__(self, *, max_seconds: float, what: str) -> None:
        self._max_seconds = max_seconds
        self._what = what
        self._deadline: float | None = None
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """The block may take `max_seconds`."""
        self._deadline = time.monotonic() + self._max_seconds
        try:
            yield
        finally:
            self._deadline = None

    def _watch(self) -> None:
        interval = min(self._max_seconds / 10, 1.0)
        while True:
            faulthandler.dump_traceback_later(
                self._max_seconds + interval, exit=True, file=sys.__stderr__ or sys.stderr
            )
            time.sleep(interval)
            deadline = self._deadline
            if deadline is not None and time.monotonic() > deadline:
                log.critical("%s took longer than %g s; the process ends", self._what, self._max_seconds)
                logging.shutdown()
                os._exit(EXIT_CODE)
