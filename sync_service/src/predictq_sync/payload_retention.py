"""Retention of payloads: by their age alone, so that those whose message was never published go too."""

import logging
import time
from collections.abc import Callable

from predictq.loop import Stop
from predictq.payloads import Payloads
from predictq.settings import RetentionSettings

__all__ = ["PayloadRetention", "prune_payloads"]

log = logging.getLogger(__name__)


class PayloadRetention:
    """Deletes payloads that are older than their requests are kept; an hour's at a step."""

    def __init__(
        self, payloads: Payloads, retention: RetentionSettings, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._payloads = payloads
        self._seconds = retention.requests_seconds
        self._clock = clock

    def __call__(self, stop: Stop) -> None:
        """Delete them until all are gone, or it is to stop. Raises StorageUnavailable."""
        for count in self._payloads.forget(self._clock() - self._seconds):
            log.info("retention: deleted %d payloads", count)
            if stop.is_set():
                return


def prune_payloads(payloads: Payloads, retention: RetentionSettings, now: float, *, dry_run: bool) -> int:
    """Delete them all at once; how many went, or with a dry run would go. Raises StorageUnavailable."""
    before = now - retention.requests_seconds
    counts = map(payloads.count, payloads.hours_before(before)) if dry_run else payloads.forget(before)
    return sum(counts)
