"""Keeps the claims on what is in hand while it is handled and settled."""

import logging
import threading
from typing import Self

from predictq.brokers.port import Batch, Consumer
from predictq.errors import Unavailable

__all__ = ["Keeper"]

log = logging.getLogger(__name__)


class Keeper:
    """A thread that extends each claim three times as often as it would run out."""

    def __init__(self, consumer: Consumer, *, claim_seconds: float, name: str) -> None:
        self._consumer = consumer
        self._interval = claim_seconds / 3
        self._in_hand: list[Batch] = []
        self._settling: Batch | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"{name}-keeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def hold(self, batch: Batch) -> None:
        """From now on its claim does not run out."""
        with self._lock:
            self._in_hand.append(batch)

    def settling(self, batch: Batch) -> None:
        """It is about to be settled: what is not this member's from now on may be settled, and nobody's loss."""
        with self._lock:
            self._settling = batch

    def release(self, batch: Batch) -> None:
        """From now on nothing is done about it, and nothing is under way."""
        with self._lock:
            self._in_hand.remove(batch)
            self._settling = None

    def _keep(self) -> None:
        while not self._ended.wait(self._interval):
            with self._lock:
                for batch in self._in_hand:
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
        if not kept and batch is not self._settling:
            log.warning("some of the batch in hand was lost to another member; its results will be dropped")
