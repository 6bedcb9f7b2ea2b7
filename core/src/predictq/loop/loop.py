"""The one loop: poll, handle, settle. Everything that reads a topic runs in it."""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TypeVar

from predictq.brokers.port import Batch, Broker, Consumer, Dead, Isolate, Record, Release, Subscription, Verdict
from predictq.errors import NoRoom, PredictqError, Unavailable
from predictq.loop.backoff import Backoff
from predictq.loop.handler import Handler, Outcome
from predictq.loop.keeper import Keeper
from predictq.loop.settling import Settler
from predictq.loop.stop import Stop

__all__ = ["Loop"]

log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")
_redeliveries_of: Callable[[Record], int] = attrgetter("redeliveries")

ISOLATE_AT = 2
"""Redeliveries at which a record is taken from its neighbours: it has come for the third time."""


BURY_AT = 2
"""Redeliveries, while it is alone, at which a record is dead. The first may be an operator's kill, or a broker that
counts what it only fetched ahead."""

HOLD_SHARE = 0.5
"""Of the time that the broker leaves a record in hand: after it, what something unavailable holds up is given back."""


ROOM_SECONDS = 0.1
"""How soon it is looked again whether there is room."""


class _HeldTooLong(Exception):
    """What is in hand must be given back before the broker takes it away, which would count as a crash."""


class _Stopped(Exception):
    """The process ends while something is unavailable; the batch in hand goes back as it is."""


class Loop:
    """Reads one subscription and gives its records to one handler, until it is stopped."""

    def __init__(self, *, name: str, broker: Broker, subscription: Subscription, handler: Handler) -> None:
        self.name = name
        self.ready = threading.Event()
        """Set while polls come back; cleared while the broker, or what the handler needs, is away."""
        self._broker = broker
        self._subscription = subscription
        self._handler = handler
        self._hold_seconds = broker.guarantees.hold_seconds
        self._batches_in_hand = 1 if subscription.group is None else broker.guarantees.batches_in_hand

    def run(self, stop: Stop) -> None:
        """Block until `stop` is set, then finish the batch in hand and leave the group.

        Comes through any outage of the broker; raises what no waiting can mend.
        """
        backoff = Backoff()
        while not stop.is_set():
            try:
                consumer = self._broker.consumer(self._subscription)
                try:
                    self._read(consumer, stop, backoff)
                finally:
                    consumer.close()
            except Unavailable as error:
                self._wait(error, backoff, stop)
            except _Stopped:
                return

    def _read(self, consumer: Consumer, stop: Stop, backoff: Backoff) -> None:
        keeper = Keeper(consumer, claim_seconds=self._subscription.claim_seconds, name=self.name)

        def settle(batch: Batch, outcome: Outcome) -> None:
            keeper.settling(batch)
            self._settle(consumer, batch, outcome, stop)
            keeper.release(batch)

        settler = Settler(settle, batches_in_hand=self._batches_in_hand, name=self.name)
        with stop.calling(consumer.drain), keeper, settler:
            while not stop.is_set():
                batch = consumer.poll(*self._handler.limits())
                settler.check()
                self.ready.set()
                backoff.reset()
                if batch:
                    keeper.hold(batch)
                    suspect = batch[0].alone or any(map(_redeliveries_of, batch.records))
                    if suspect:
                        # It may end the process: nothing else shall be in hand then, or it would be charged too.
                        settler.wait()
                    settler.settle(batch, self._outcome(batch, stop))
                    if suspect:
                        # Nor shall another end the process while this one is in hand, which would be its last time.
                        settler.wait()
                self._tick()

    def _outcome(self, batch: Batch, stop: Stop) -> Outcome:
        held_until = math.inf if self._hold_seconds is None else time.monotonic() + self._hold_seconds * HOLD_SHARE
        try:
            return self._judge(batch.records, stop, held_until)
        except _HeldTooLong:
            log.warning("%s: %d records are given back, they were held for too long", self.name, len(batch))
            return Outcome([Release()] * len(batch))

    def _settle(self, consumer: Consumer, batch: Batch, outcome: Outcome, stop: Stop) -> None:
        # Whatever it takes: a settle that outlasts the hold finds its records lost and says so.
        lost = self._insist(lambda: consumer.settle(batch, outcome.verdicts, outcome.also), stop, math.inf)
        if lost:
            log.warning(
                "%s: %d of %d records were lost to another member, their results dropped", self.name, lost, len(batch)
            )
        log.debug("%s: settled %d records", self.name, len(batch))

    def _judge(self, records: Sequence[Record], stop: Stop, held_until: float) -> Outcome:
        """Verdicts on all records; those that seem to end processes never reach the handler beside others."""
        suspects = {i: v for i, r in enumerate(records) if r.redeliveries and (v := self._suspect(r)) is not None}
        if not suspects:
            return self._handle(records, stop, held_until)
        rest = [record for i, record in enumerate(records) if i not in suspects]
        outcome = self._handle(rest, stop, held_until) if rest else Outcome(())
        handled = iter(outcome.verdicts)
        return Outcome([suspects[i] if i in suspects else next(handled) for i in range(len(records))], outcome.also)

    def _suspect(self, record: Record) -> Verdict | None:
        if record.alone:
            if record.redeliveries < BURY_AT:
                return None
            reason = f"ended the process that handled it, {record.redeliveries} time(s) while it was alone"
            return self._bury(record, reason)
        if record.redeliveries >= ISOLATE_AT and self._subscription.retry_topic is not None:
            log.warning("%s: %s has come %d times and is isolated", self.name, _place(record), record.redeliveries + 1)
            return Isolate()
        return None

    def _handle(self, records: Sequence[Record], stop: Stop, held_until: float) -> Outcome:
        try:
            return self._insist(lambda: self._checked(records), stop, held_until)
        except (_Stopped, _HeldTooLong, MemoryError):
            raise
        except Exception as error:
            if len(records) == 1:
                log.warning("%s: %s: %s", self.name, _place(records[0]), _reason(error), exc_info=error)
                return Outcome([self._bury(records[0], _reason(error))])
        half = len(records) // 2
        first = self._handle(records[:half], stop, held_until)
        second = self._handle(records[half:], stop, held_until)
        return Outcome([*first.verdicts, *second.verdicts], [*first.also, *second.also])

    def _checked(self, records: Sequence[Record]) -> Outcome:
        outcome = self._handler.handle(records)
        if len(outcome.verdicts) != len(records):
            raise ValueError(f"{len(outcome.verdicts)} verdicts on {len(records)} records")
        return outcome

    def _bury(self, record: Record, reason: str) -> Dead:
        log.warning("%s: %s becomes a dead letter: %s", self.name, _place(record), reason)
        try:
            outputs = self._handler.buried(record, reason)
        except Exception:
            log.exception("%s: nothing can be emitted beside the dead letter", self.name)
            outputs = ()
        return Dead(reason, outputs)

    def _insist(self, call: Callable[[], ResultT], stop: Stop, held_until: float) -> ResultT:
        """Call until nothing is away: the batch stays claimed meanwhile and no attempt is spent."""
        backoff = Backoff()
        while True:
            try:
                result = call()
            except Unavailable as error:
                self._wait(error, backoff, stop)
                if stop.is_set():
                    raise _Stopped from error
                if time.monotonic() > held_until:
                    raise _HeldTooLong from error
            else:
                self.ready.set()
                return result

    def _tick(self) -> None:
        try:
            self._handler.tick()
        except Unavailable as error:
            log.warning("%s: housekeeping is put off: %s", self.name, error)

    def _wait(self, error: Unavailable, backoff: Backoff, stop: Stop) -> None:
        if isinstance(error, NoRoom):
            log.debug("%s: %s", self.name, error)
            stop.wait(ROOM_SECONDS)
            return
        self.ready.clear()
        seconds = backoff.next_seconds()
        log.warning("%s: %s; next try in %.1f s", self.name, error, seconds)
        stop.wait(seconds)


def _place(record: Record) -> str:
    return f"{record.topic}[{record.partition}]@{record.position}"


def _reason(error: Exception) -> str:
    text = str(error).partition("\n")[0]
    return text if isinstance(error, PredictqError) and text else f"{type(error).__name__}: {text}"
