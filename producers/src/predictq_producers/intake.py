"""The intake: foreign messages become requests.

What may come: `{"instances": […], …}` as in HTTP, with an `id` of its own where it has one; a bare instance; a list of
instances; or a CloudEvent (structured JSON, any type) whose `data` is one of these.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from predictq.brokers.port import Dead, Done, Message, Record, Verdict
from predictq.loop import Limits, Outcome
from predictq.names import endpoint_of
from predictq_producers.deriving import event_id, record_id
from predictq_producers.parsing import parse_json
from predictq_producers.refusals import Fault, Refused
from predictq_producers.requests import RequestMaker, maker_of

__all__ = ["Intake"]

MAX_BATCH = 500
MAX_BATCH_BYTES = 8 * 1024 * 1024
NO_SOURCE = ""
"""Of a message that names itself but not where it is from."""


class _Foreign(NamedTuple):
    """What a foreign message says."""

    body: Any
    """As in HTTP."""
    own_id: tuple[str, str] | None
    """Source and id."""


class Intake:
    """The handler of the intake topics."""

    def __init__(self, makers: Mapping[str, RequestMaker]) -> None:
        self._makers = makers

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
            foreign = _understood(parse_json(record.value))
            submission = maker.read_value(foreign.body, record.published_at)
            if foreign.own_id is None:
                request_id = record_id(endpoint, record.topic, record.partition, record.position)
            else:
                request_id = event_id(endpoint, *foreign.own_id)
            prepared = maker.prepare(submission, request_id, now)
        except Refused as error:
            return Dead(error.reason)
        message = prepared.message
        return Done([message if message.key is not None else message._replace(key=record.key)])


def _understood(value: Any) -> _Foreign:
    if isinstance(value, dict) and "specversion" in value:
        return _of_event(value)
    if isinstance(value, dict) and "instances" in value:
        body = {name: field for name, field in value.items() if name != "id"}
        return _Foreign(body, _own_id(NO_SOURCE, value["id"]) if "id" in value else None)
    return _Foreign(_body(value), None)


def _of_event(event: Mapping[str, Any]) -> _Foreign:
    # https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
    if "data" not in event:
        raise Refused(
            422, "the event is no prediction request", [Fault("/data", "is missing; instances would be right")]
        )
    source, own_id = event.get("source"), event.get("id")
    if not isinstance(source, str) or not source:
        raise Refused(422, "the event is no CloudEvent", [Fault("/source", "is missing; CloudEvents require it")])
    body = _body(event["data"])
    if isinstance(key := event.get("partitionkey"), str):
        body.setdefault("key", key)
    if isinstance(expiry := event.get("expirytime"), str):
        body.setdefault("deadline", expiry)
    return _Foreign(body, _own_id(source, own_id))


def _own_id(source: str, own_id: Any) -> tuple[str, str]:
    if not isinstance(own_id, str) or not own_id:
        raise Refused(422, "the message has no usable id", [Fault("/id", "a text that is not empty would be right")])
    return source, own_id


def _body(value: Any) -> dict[str, Any]:
    """`value` as the body that HTTP would take: itself, or the instances that it is."""
    if isinstance(value, dict) and "instances" in value:
        return dict(value)
    several = isinstance(value, list) and bool(value) and all(isinstance(item, dict | list) for item in value)
    return {"instances": value if several else [value]}
