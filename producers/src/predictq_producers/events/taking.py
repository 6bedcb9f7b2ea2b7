"""From the events of one HTTP request to messages: all of them, or none and the reason."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from predictq.brokers.port import Message
from predictq.payloads import Payload
from predictq_producers.deriving import event_id
from predictq_producers.events.http_binding import Received
from predictq_producers.events.object_events import object_events
from predictq_producers.events.rules import Followed, Rules
from predictq_producers.foreign import data_of, of_event
from predictq_producers.refusals import Fault, Refused, pointer
from predictq_producers.requests import RequestMaker, maker_of

__all__ = ["Taken", "Taker"]

ENDPOINT = "predictqendpoint"
"""The extension attribute that names the endpoint."""


class Taken(NamedTuple):
    """What becomes of one event."""

    answer: dict[str, Any]
    """What its sender is told once the messages are durable."""
    messages: Sequence[Message]
    place: str | None
    """Where the result will be, where there is one."""
    payloads: Sequence[Payload] = ()
    """To be written before."""


class Taker:
    """Makes messages of events. Holds no state that changes."""

    def __init__(self, makers: Mapping[str, RequestMaker], rules: Rules) -> None:
        self._makers = makers
        self._rules = rules

    def events(self, received: Received, endpoint: str | None, now: float) -> Sequence[Taken]:
        """What becomes of each CloudEvent. Raises Refused, which names the first that cannot be taken.

        `endpoint` is that of events that name none.
        """
        taken: list[Taken] = []
        for index, event in enumerate(received.events):
            try:
                taken.append(self._event(event, endpoint, now, in_headers=received.in_headers))
            except Refused as error:
                if not received.batched:
                    raise
                at = pointer(index)
                faults = [Fault(at + fault.pointer, fault.detail) for fault in error.faults] or [
                    Fault(at, error.detail)
                ]
                raise Refused(error.status, f"event {index}: {error.detail}; none was taken", faults) from error
        return taken

    def notification(self, value: Any) -> Taken:
        """What becomes of a store's notification. Raises Refused where it is none."""
        found = object_events(value)
        if found is None:
            kinds = "a CloudEvent (application/cloudevents+json, or headers ce-…), or an object store's notification"
            raise Refused(422, "the body is no event", [Fault("", f"{kinds}, would be right")])
        return _of_objects(self._rules.follow(found))

    def _event(self, event: Any, endpoint: str | None, now: float, *, in_headers: bool) -> Taken:
        if not isinstance(event, dict):
            raise Refused(422, "the event is no CloudEvent", [Fault("", "is no JSON object")])
        named = event.get(ENDPOINT, endpoint)
        if named is None:
            return self._of_store(event)
        if not isinstance(named, str):
            raise Refused(422, "the event names no endpoint", [Fault(f"/{ENDPOINT}", "is no text")])
        maker = maker_of(self._makers, named)
        foreign = of_event(event, data_at="" if in_headers else None)
        if foreign.own_id is None:
            raise Refused(422, "the event is no CloudEvent", [Fault("/id", "is missing; CloudEvents require it")])
        try:
            submission = maker.read_value(foreign.body, now)
            prepared = maker.prepare(submission, event_id(named, *foreign.own_id), now)
        except Refused as error:
            faults = [Fault(foreign.place(fault.pointer), fault.detail) for fault in error.faults]
            raise Refused(error.status, error.detail, faults) from error
        answer = {"id": prepared.id, "endpoint": named, "status": "queued"}
        payloads = () if prepared.payload is None else (prepared.payload,)
        return Taken(answer, [prepared.message], f"/v1/predictions/{prepared.id}", payloads)

    def _of_store(self, event: Mapping[str, Any]) -> Taken:
        """A store's notification as the data of a CloudEvent; its rules name the endpoint."""
        found = object_events(data_of(event)[0])
        if found is None:
            right = f"the attribute {ENDPOINT!r}, or the query ?endpoint=, would be right"
            raise Refused(422, "the event names no endpoint", [Fault(f"/{ENDPOINT}", f"is missing; {right}")])
        return _of_objects(self._rules.follow(found))


def _of_objects(followed: Followed) -> Taken:
    jobs = [
        {
            "id": job.id,
            "endpoint": job.endpoint,
            "status": "queued",
            "rule": job.rule,
            "bucket": job.bucket,
            "key": job.key,
        }
        for job in followed.jobs
    ]
    answer: dict[str, Any] = {"jobs": jobs} if jobs else {}
    if followed.ignored or not jobs:
        answer["ignored"] = [each._asdict() for each in followed.ignored]
    place = f"/v1/jobs/{jobs[0]['id']}" if len(jobs) == 1 else None
    return Taken(answer, [job.message for job in followed.jobs], place)
