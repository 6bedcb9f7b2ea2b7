"""Settling one batch while the next one is polled and handled."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from predictq.brokers.port import Batch, Release
from predictq.errors import Unavailable
from predictq.loop.handler import Outcome

__all__ = ["Settler"]

log = logging.getLogger(__name__)


class Settler:
    """Settles on a thread of its own, in order, where the broker lets two batches be in hand; else in the caller's.

    What a settle raised is raised by the next call here.
    """

    def __init__(self, settle: Callable[[Batch, Outcome], None], *, batches_in_hand: int, name: str) -> None:
        self._settle = settle
        self._thread = ThreadPoolExecutor(1, f"{name}-settler") if batches_in_hand > 1 else None
        self._under_way: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Come to the end of what is under way. What it raised is raised, unless something worse has happened."""
        try:
            self.wait()
        except Exception as its_own:
            if error is None or isinstance(error, Unavailable):
                raise
            log.warning("a settlement came to no end: %s %s", type(its_own).__name__, its_own)
        finally:
            if self._thread is not None:
                self._thread.shutdown()

    def settle(self, batch: Batch, outcome: Outcome) -> None:
        """After the batch before; returns without waiting for the end."""
        self.wait()
        if self._thread is None:
            self._settle(batch, outcome)
            return
        self._under_way = self._thread.submit(self._settle, batch, outcome)
        if Release in set(map(type, outcome.verdicts)):
            # What goes back may be the next to come, so nothing may be polled before.
            self.wait()

    def check(self) -> None:
        """Raise what a settle that has ended has raised."""
        if self._under_way is not None and self._under_way.done():
            self.wait()

    def wait(self) -> None:
        """Until nothing is under way."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()
