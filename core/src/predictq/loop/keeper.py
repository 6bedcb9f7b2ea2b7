"""Keeps the claim on the batch in hand while its handler is busy."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from predictq.brokers.port import Batch, Consumer
from predictq.errors import Unavailable

__all__ = ["Keeper"]

log = logging.getLogger(__name__)


class Keeper:
    """A thread that extends the claim three times as often as it would run out."""

    def __init__(self, consumer: Consumer, *, claim_seconds: float, name: str) -> None:
        self._consumer = consumer
        self._interval = claim_seconds / 3
        self._in_hand: Batch | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"{name}-keeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @contextmanager
    def holding(self, batch: Batch) -> Iterator[None]:
        """Within the block the claim on `batch` does not run out. On leaving, no extension is under way."""
        self._in_hand = batch
        try:
            yield
        finally:
            with self._lock:
                self._in_hand = None

    def _keep(self) -> None:
        while not self._ended.wait(self._interval):
            with self._lock:
                batch = self._in_hand
                if batch is not None:
                    self._extend(batch)

    def _extend(self, batch: Batch) -> None:
        try:
            kept = self._consumer.extend(batch)
        except Unavailable as error:
            log.warning("the claim could not be extended: %s", error)
            return
        except Exception:
            # The loop meets the same at its next call, and ends by it; until then the next extension may work.
            log.exception("the claim could not be extended")
            return
        if not kept:
            log.warning("some of the batch in hand was lost to another member; its results will be dropped")
