"""What a foreign message says: the body that HTTP would take, and an id of its own where it has one.

It may be `{"instances": […], …}` as in HTTP, with an `id`; a bare instance; a list of instances; or a CloudEvent of any
type whose data is one of these.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, NamedTuple

from predictq.messages import SPECVERSION
from predictq_producers.headers import is_json
from predictq_producers.parsing import parse_json
from predictq_producers.refusals import Fault, Refused

__all__ = ["Foreign", "data_of", "is_event", "of_event", "understood"]

NO_SOURCE = ""
"""Of a message that names itself but not where it is from."""
_ATTRIBUTES = {"/key": "/partitionkey", "/deadline": "/expirytime"}


class Foreign(NamedTuple):
    """A message that can be read as a submission."""

    body: dict[str, Any]
    """As in HTTP."""
    own_id: tuple[str, str] | None
    """Source and id."""
    instances_at: str = "/instances"
    """Where in the message the instances stand; a single one stands there itself."""
    single: bool = False
    lent: frozenset[str] = frozenset()
    """Members of the body that are attributes of the event."""

    def place(self, pointer: str) -> str:
        """Of a pointer into the body (RFC 6901): the one into the message."""
        if pointer in self.lent:
            return _ATTRIBUTES[pointer]
        first = "/instances/0" if self.single else "/instances"
        if pointer == first or pointer.startswith(f"{first}/"):
            return self.instances_at + pointer.removeprefix(first)
        return self.instances_at.removesuffix("/instances") + pointer


def is_event(value: Any) -> bool:
    """Whether this is a CloudEvent, or would be one."""
    return isinstance(value, dict) and "specversion" in value


def understood(value: Any) -> Foreign:
    """What any JSON says. Raises Refused for a CloudEvent that is none, and for an id that cannot be used."""
    if is_event(value):
        return of_event(value)
    if isinstance(value, dict) and "instances" in value:
        body = {name: field for name, field in value.items() if name != "id"}
        return Foreign(body, _own_id(NO_SOURCE, value["id"]) if "id" in value else None)
    return _said(value, "", None)


def of_event(event: Mapping[str, Any], *, data_at: str | None = None) -> Foreign:
    """What a CloudEvent in the JSON format says.

    `data_at` is where its data came from where that is not the event itself. Raises Refused.
    https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
    """
    if event.get("specversion") != SPECVERSION:
        raise _no_event("/specversion", f"is {event.get('specversion')!r:.40}; {SPECVERSION!r} would be right")
    source = event.get("source")
    if not isinstance(source, str) or not source:
        raise _no_event("/source", "is missing; CloudEvents require it")
    own_id = _own_id(source, event.get("id"))
    data, place = data_of(event)
    foreign = _said(data, place if data_at is None else data_at, own_id)
    lent = set()
    for name, attribute in (("key", "partitionkey"), ("deadline", "expirytime")):
        if isinstance(value := event.get(attribute), str) and name not in foreign.body:
            foreign.body[name] = value
            lent.add(f"/{name}")
    return foreign._replace(lent=frozenset(lent))


def data_of(event: Mapping[str, Any]) -> tuple[Any, str]:
    """The data of a CloudEvent, and where in it that stands. Raises Refused unless it is JSON."""
    kind = event.get("datacontenttype", "application/json")
    if not isinstance(kind, str) or not is_json(kind):
        raise Refused(415, f"the data of the event is {kind!r:.80}: application/json would be right")
    if "data" in event:
        return event["data"], "/data"
    if "data_base64" not in event:
        raise Refused(
            422, "the event is no prediction request", [Fault("/data", "is missing; instances would be right")]
        )
    try:
        raw = base64.b64decode(event["data_base64"], validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise _no_event("/data_base64", "is no Base64 (RFC 4648)") from error
    return parse_json(raw), "/data_base64"


def _said(value: Any, at: str, own_id: tuple[str, str] | None) -> Foreign:
    """`value` as the body that HTTP would take: itself, or the instances that it is."""
    if isinstance(value, dict) and "instances" in value:
        return Foreign(dict(value), own_id, f"{at}/instances")
    if isinstance(value, list) and value and all(isinstance(item, dict | list) for item in value):
        return Foreign({"instances": value}, own_id, at)
    return Foreign({"instances": [value]}, own_id, at, single=True)


def _own_id(source: str, own_id: Any) -> tuple[str, str]:
    if not isinstance(own_id, str) or not own_id:
        raise Refused(422, "the message has no usable id", [Fault("/id", "a text that is not empty would be right")])
    return source, own_id


def _no_event(pointer: str, detail: str) -> Refused:
    return Refused(422, "the event is no CloudEvent", [Fault(pointer, detail)])
