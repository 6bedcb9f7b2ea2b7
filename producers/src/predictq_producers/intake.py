"""The intake: foreign messages become requests."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from predictq.brokers.port import Dead, Done, Message, Record, Verdict
from predictq.loop import Limits, Outcome
from predictq.names import endpoint_of
from predictq_producers.deriving import event_id, record_id
from predictq_producers.events.object_events import ObjectEvent, object_events
from predictq_producers.events.rules import Rules
from predictq_producers.foreign import data_of, is_event, understood
from predictq_producers.parsing import parse_json
from predictq_producers.refusals import Refused
from predictq_producers.requests import RequestMaker, maker_of

__all__ = ["Intake"]

MAX_BATCH = 500
MAX_BATCH_BYTES = 8 * 1024 * 1024


class Intake:
    """The handler of the intake topics."""

    def __init__(self, makers: Mapping[str, RequestMaker], rules: Rules) -> None:
        self._makers = makers
        self._rules = rules

    def limits(self) -> Limits:
        """A batch is translated in milliseconds, so it need not wait to fill."""
        return Limits(max_messages=MAX_BATCH, max_bytes=MAX_BATCH_BYTES, max_wait_seconds=0.0)

    def handle(self, records: Sequence[Record]) -> Outcome:
        """One request out of each record, or the reason why not."""
        now = time.time()
        return Outcome([self._translate(record, now) for record in records])

    def buried(self, record: Record, reason: str) -> Sequence[Message]:  # noqa: ARG002 - the port's names
        """Nobody owes an answer to what never became a request."""
        return ()

    def tick(self) -> None:
        """Nothing to keep."""

    def _translate(self, record: Record, now: float) -> Verdict:
        endpoint = endpoint_of(record.topic)
        try:
            maker = maker_of(self._makers, endpoint)
            value = parse_json(record.value)
            if (found := self._objects(value, endpoint)) is not None:
                return Done([job.message for job in self._rules.follow(found, endpoint=endpoint).jobs])
            foreign = understood(value)
            submission = maker.read_value(foreign.body, record.published_at)
            if foreign.own_id is None:
                request_id = record_id(endpoint, record.topic, record.partition, record.position)
            else:
                request_id = event_id(endpoint, *foreign.own_id)
            prepared = maker.prepare(submission, request_id, now)
        except Refused as error:
            return Dead(error.reason)
        if prepared.payload is not None:
            prepared.payload.write()
        message = prepared.message
        return Done([message if message.key is not None else message._replace(key=record.key)])

    def _objects(self, value: Any, endpoint: str) -> Sequence[ObjectEvent] | None:
        """What an object store says; None where it is none, or no rule is of the endpoint."""
        if not self._rules.of(endpoint):
            return None
        return object_events(data_of(value)[0] if is_event(value) else value)
