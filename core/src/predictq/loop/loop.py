"""The one loop: poll, handle, settle. Everything that reads a topic runs in it."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from predictq.brokers.port import Batch, Broker, Consumer, Dead, Isolate, Record, Subscription, Verdict
from predictq.errors import PredictqError, Unavailable
from predictq.loop.backoff import Backoff
from predictq.loop.handler import Handler, Outcome
from predictq.loop.keeper import Keeper
from predictq.loop.stop import Stop

__all__ = ["Loop"]

log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")

ISOLATE_AT = 2
"""Redeliveries at which a record is taken from its neighbours: it has come for the third time."""


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
        with stop.calling(consumer.drain), keeper:
            while not stop.is_set():
                batch = consumer.poll(*self._handler.limits())
                self.ready.set()
                backoff.reset()
                if batch:
                    with keeper.holding(batch):
                        self._work(consumer, batch, stop)
                self._tick()

    def _work(self, consumer: Consumer, batch: Batch, stop: Stop) -> None:
        outcome = self._judge(batch.records, stop)
        lost = self._insist(lambda: consumer.settle(batch, outcome.verdicts, outcome.also), stop)
        if lost:
            log.warning(
                "%s: %d of %d records were lost to another member, their results dropped", self.name, lost, len(batch)
            )
        log.debug("%s: settled %d records", self.name, len(batch))

    def _judge(self, records: Sequence[Record], stop: Stop) -> Outcome:
        """Verdicts on all records; those that seem to end processes never reach the handler beside others."""
        suspects = {i: v for i, r in enumerate(records) if r.redeliveries and (v := self._suspect(r)) is not None}
        if not suspects:
            return self._handle(records, stop)
        rest = [record for i, record in enumerate(records) if i not in suspects]
        outcome = self._handle(rest, stop) if rest else Outcome(())
        handled = iter(outcome.verdicts)
        return Outcome([suspects[i] if i in suspects else next(handled) for i in range(len(records))], outcome.also)

    def _suspect(self, record: Record) -> Verdict | None:
        if record.alone:
            reason = f"ended the process that handled it, {record.redeliveries} time(s) while it was alone"
            return self._bury(record, reason)
        if record.redeliveries >= ISOLATE_AT and self._subscription.retry_topic is not None:
            log.warning("%s: %s has come %d times and is isolated", self.name, _place(record), record.redeliveries + 1)
            return Isolate()
        return None

    def _handle(self, records: Sequence[Record], stop: Stop) -> Outcome:
        try:
            return self._insist(lambda: self._checked(records), stop)
        except (_Stopped, MemoryError):
            raise
        except Exception as error:
            if len(records) == 1:
                log.warning("%s: %s: %s", self.name, _place(records[0]), _reason(error), exc_info=error)
                return Outcome([self._bury(records[0], _reason(error))])
        half = len(records) // 2
        first, second = self._handle(records[:half], stop), self._handle(records[half:], stop)
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

    def _insist(self, call: Callable[[], ResultT], stop: Stop) -> ResultT:
        """Call until nothing is away: the batch stays claimed meanwhile and no attempt is spent."""
        backoff = Backoff()
        while True:
            try:
                result = call()
            except Unavailable as error:
                self._wait(error, backoff, stop)
                if stop.is_set():
                    raise _Stopped from error
            else:
                self.ready.set()
                return result

    def _tick(self) -> None:
        try:
            self._handler.tick()
        except Unavailable as error:
            log.warning("%s: housekeeping is put off: %s", self.name, error)

    def _wait(self, error: Unavailable, backoff: Backoff, stop: Stop) -> None:
        self.ready.clear()
        seconds = backoff.next_seconds()
        log.warning("%s: %s; next try in %.1f s", self.name, error, seconds)
        stop.wait(seconds)


def _place(record: Record) -> str:
    return f"{record.topic}[{record.partition}]@{record.position}"


def _reason(error: Exception) -> str:
    text = str(error).partition("\n")[0]
    return text if isinstance(error, PredictqError) and text else f"{type(error).__name__}: {text}"
