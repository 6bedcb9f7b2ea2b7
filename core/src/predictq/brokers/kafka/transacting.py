"""Settling in a transaction: outputs and offsets become visible together, or not at all."""

from collections.abc import Callable, Mapping, Sequence

from predictq.brokers.kafka.driver import Committed, Driver, Evicted, Member, Place, Row
from predictq.brokers.kafka.options import Options
from predictq.brokers.kafka.outgoing import mistake_among, unpublished
from predictq.brokers.port import Subscription
from predictq.errors import BrokerUnavailable

__all__ = ["Transaction"]


class Transaction:
    """One after the other, under an id of this member: of its `instance` where it has one, so that a successor of that
    name takes back what its predecessor has left open."""

    def __init__(self, driver: Driver, options: Options, subscription: Subscription) -> None:
        self._driver = driver
        self._options = options
        self._group = subscription.group or ""
        self._sender = driver.sender(f"{self._group}.{subscription.instance or subscription.member}")
        self._in_doubt = False

    def settle(
        self,
        rows: Sequence[Row],
        offsets: Mapping[Place, Committed],
        member: Member | None,
        still_ours: Callable[[], bool],
    ) -> bool:
        """False, and nothing written, where some of it was lost meanwhile. Raises Rebalancing, Evicted, or as a
        producer does; after BrokerUnavailable the same may be settled again and is not doubled."""
        if member is None:
            raise Evicted
        self._sender.begin()
        try:
            if self._in_doubt and self._is_committed(offsets):
                self._sender.abort()
                self._in_doubt = False
                return True
            self._in_doubt = False
            self._send(rows)
            if not still_ours():
                self._sender.abort()
                return False
            if offsets:
                self._sender.add_offsets(offsets, member)
        except BaseException:
            self._sender.abort()
            raise
        try:
            self._sender.commit(self._options.request_seconds)
        except BrokerUnavailable:
            self._in_doubt = True
            self._sender.abort()
            raise
        return True

    def close(self) -> None:
        self._sender.close()

    def _send(self, rows: Sequence[Row]) -> None:
        failures = self._sender.send(rows, self._options.request_seconds) if rows else ()
        if failures:
            raise mistake_among(failures) or unpublished(failures, len(rows))

    def _is_committed(self, offsets: Mapping[Place, Committed]) -> bool:
        """Whether the transaction that gave no answer did come to its end."""
        admin = self._driver.admin()
        try:
            found = admin.committed(self._group)
        finally:
            admin.close()
        return bool(offsets) and all(found[place].offset >= offset for place, (offset, _) in offsets.items())
