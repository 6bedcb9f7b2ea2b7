"""Ids that are not worth predicting any more, heard on the broadcast topic of cancels."""

import logging
from collections import deque
from collections.abc import Sequence

from predictq.brokers.port import Done, Message, Record
from predictq.errors import BadMessage
from predictq.loop import Limits, Outcome
from predictq.messages import CANCEL

__all__ = ["Cancelled", "HearCancels"]

log = logging.getLogger(__name__)


class Cancelled:
    """The last `max_ids` ids that were cancelled. One thread may add while another asks."""

    def __init__(self, max_ids: int = 100_000) -> None:
        self._max_ids = max_ids
        self._order: deque[str] = deque()
        self._ids: set[str] = set()

    def add(self, ids: Sequence[str]) -> None:
        """Remember these; the oldest make room."""
        for one in ids:
            if one not in self._ids:
                self._ids.add(one)
                self._order.append(one)
        while len(self._order) > self._max_ids:
            self._ids.discard(self._order.popleft())

    def __contains__(self, request_id: object) -> bool:
        return request_id in self._ids

    def __bool__(self) -> bool:
        return bool(self._ids)


class HearCancels:
    """The handler that fills `Cancelled`. These are hints: one that cannot be read is passed over."""

    def __init__(self, cancelled: Cancelled) -> None:
        self._cancelled = cancelled

    def limits(self) -> Limits:
        """Hints are few and small."""
        return Limits(max_messages=1000, max_bytes=1 << 20, max_wait_seconds=0.0)

    def handle(self, records: Sequence[Record]) -> Outcome:
        """Remember all ids."""
        for record in records:
            try:
                ids = CANCEL.decode(record.value)["data"]["ids"]
            except BadMessage as error:
                log.warning("a cancel hint cannot be read: %s", error)
                continue
            self._cancelled.add(ids)
            log.debug("%d requests were cancelled", len(ids))
        return Outcome([Done()] * len(records))

    def buried(self, record: Record, reason: str) -> Sequence[Message]:  # noqa: ARG002 - the handler's shape
        """Nothing."""
        return ()

    def tick(self) -> None:
        """Nothing to keep house for."""
