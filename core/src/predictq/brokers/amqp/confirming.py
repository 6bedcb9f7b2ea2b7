"""What the server says of the messages that were sent to it."""

import threading

from predictq.errors import PredictqError

__all__ = ["Publication"]


class Publication:
    """Some messages that were sent together, and what the server said of them."""

    def __init__(self, first: int, count: int) -> None:
        self.first = first
        self.count = count
        self.pending = set(range(first, first + count))
        self.refused: set[int] = set()
        self.returned: list[str] = []
        """What reached no queue, and why."""
        self.error: PredictqError | None = None
        """What ended the channel before everything was confirmed."""
        self.over = threading.Event()
        self._low = first

    def confirmed(self, tag: int, *, multiple: bool, good: bool) -> None:
        """The server's word on a message, or on all up to it."""
        if multiple:
            low, self._low = self._low, max(tag + 1, self._low)
            if tag >= self.first + self.count - 1 and good:
                self.pending.clear()
            else:
                told = self.pending.intersection(range(low, tag + 1)) if tag >= low else set()
                self.pending -= told
                if not good:
                    self.refused |= told
        elif tag in self.pending:
            self.pending.discard(tag)
            if not good:
                self.refused.add(tag)
        if not self.pending:
            self.over.set()

    @property
    def failed(self) -> list[int]:
        """Indices of what is not known to be durable."""
        return sorted(tag - self.first for tag in self.pending | self.refused)
