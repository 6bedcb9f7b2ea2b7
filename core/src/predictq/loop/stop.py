"""The signal by which a process ends its loops."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Stop"]


class Stop:
    """Set once, never cleared. May be used by any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._calls: list[Callable[[], None]] = []

    def set(self) -> None:
        """Tell everyone; a second call does nothing."""
        with self._lock:
            if self._event.is_set():
                return
            self._event.set()
            calls = tuple(self._calls)
        for call in calls:
            call()

    def is_set(self) -> bool:
        """Whether it is time to end."""
        return self._event.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Block until it is set, or for at most `seconds`; returns `is_set()`."""
        return self._event.wait(seconds)

    @contextmanager
    def calling(self, call: Callable[[], None]) -> Iterator[None]:
        """Within the block, `set` also calls `call`; at once where it is set already."""
        with self._lock:
            self._calls.append(call)
            late = self._event.is_set()
        if late:
            call()
        try:
            yield
        finally:
            with self._lock:
                self._calls.remove(call)
