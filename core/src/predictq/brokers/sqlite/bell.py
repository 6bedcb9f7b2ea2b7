"""Wakes the consumers of this process as soon as something is published in this process.

Other processes find out by looking; SQLite has no way to tell them.
"""

import threading
import weakref

__all__ = ["Bell", "bell_of"]


class Bell:
    """Counts rings, so that none is missed between a look and a wait."""

    __slots__ = ("__weakref__", "_condition", "rings")

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.rings = 0

    def ring(self) -> None:
        """Wake everybody who waits."""
        with self._condition:
            self.rings += 1
            self._condition.notify_all()

    def wait(self, heard: int, seconds: float) -> None:
        """Return at the first ring after the `heard`-th, or when `seconds` have passed."""
        with self._condition:
            if self.rings == heard:
                self._condition.wait(seconds)


_bells: weakref.WeakValueDictionary[str, Bell] = weakref.WeakValueDictionary()
_lock = threading.Lock()


def bell_of(filename: str) -> Bell:
    """The one bell that all users of a file share in this process."""
    with _lock:
        bell = _bells.get(filename)
        if bell is None:
            bell = _bells[filename] = Bell()
        return bell
