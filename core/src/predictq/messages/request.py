"""`predictq.request.v1`: instances sent together under one id."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config
from pydantic.config import JsonDict
from pydantic_core import to_json
from typing_extensions import TypedDict

from predictq.clock import wire_time
from predictq.errors import BadMessage
from predictq.messages.envelope import SPECVERSION, Codec, Envelope, EventT, Hash, Id, Name, Time, source_of
from predictq.messages.packed import PackedRows

__all__ = [
    "REQUEST",
    "REQUEST_TYPE",
    "Callback",
    "DataRef",
    "JobPlace",
    "RequestCodec",
    "RequestData",
    "RequestEvent",
    "encode_rows",
    "hash_of",
    "new_request",
    "referring_to",
]

REQUEST_TYPE: Literal["predictq.request.v1"] = "predictq.request.v1"

DataRef = Annotated[str, Field(min_length=1, max_length=2048)]
"""URL of a file of the storage."""


class JobPlace(TypedDict):
    """Where the instances of a request stand in the file of a job: one row after the other."""

    id: Id
    chunk: Annotated[int, Field(ge=0)]
    first_row: Annotated[int, Field(ge=0)]
    rows: Annotated[int, Field(ge=1)]
    """As many as there are instances: so that who counts them need not read them."""


class Callback(TypedDict):
    """Where the end of a request, or of a job, is pushed to."""

    url: str
    events: NotRequired[list[str]]
    """Those alone; where it is absent all but the progress of a job."""


class RequestData(TypedDict):
    """The body of a request."""

    endpoint: Name
    instances: NotRequired[Annotated[list[Any], Field(min_length=1)]]
    """Each a JSON object of named features or an array; the worker checks them one by one. Missing only where they are
    `packed`, or the event has a `dataref`."""
    packed: NotRequired[PackedRows]
    """Instead of `instances`: rows of numbers, of a job."""
    deployments: Annotated[list[Name], Field(min_length=1)]
    """The visible deployments that owe an answer, stamped by the producer."""
    instances_hash: Hash
    """Of the instances, or of `packed`, as compact JSON."""
    metadata: NotRequired[dict[str, str]]
    """The client's own labels, handed back with the result."""
    job: NotRequired[JobPlace]
    callback: NotRequired[Callback]


_HAS_INSTANCES: JsonDict = {
    "anyOf": [
        {"required": ["dataref"]},
        {"properties": {"data": {"required": ["instances"]}}},
        {"properties": {"data": {"required": ["packed"]}}},
    ]
}


@with_config(ConfigDict(json_schema_extra=_HAS_INSTANCES))
class RequestEvent(Envelope):
    """A request as it travels; its event id is the request's id."""

    id: Id
    type: Literal["predictq.request.v1"]
    data: RequestData
    partitionkey: NotRequired[str]
    """CloudEvents partitioning extension: requests of one key keep their order."""
    expirytime: NotRequired[Time]
    """CloudEvents expiry-time extension: not worth predicting after this."""
    dataref: NotRequired[DataRef]
    """CloudEvents claim-check extension: where the instances are that were too large for the message."""


class RequestCodec(Codec[EventT]):
    """Of events that are requests, however much of them is read: they have instances, or say where these are."""

    def decode(self, value: bytes) -> EventT:
        event: Any = super().decode(value)
        data = event["data"]
        if "packed" in data:
            if "instances" in data:
                raise BadMessage("data/instances: Field must be missing where there is data/packed")
        elif "instances" not in data and "dataref" not in event:
            raise BadMessage("data/instances: Field required, or data/packed, or the attribute dataref")
        decoded: EventT = event
        return decoded


REQUEST: Codec[RequestEvent] = RequestCodec(RequestEvent)


def hash_of(instances: Sequence[Any]) -> str:
    """The hash by which two bodies under one id are told apart."""
    return hashlib.sha256(to_json(instances)).hexdigest()


def encode_rows(event: RequestEvent, rows: bytes, field: Literal["instances", "packed"]) -> bytes:
    """A request of rows of a job that are JSON already. They stand last, so that they can be passed over.

    `event` has none, and its data stand last in it; its `instances_hash` is that of these bytes.
    """
    return REQUEST.encode(event)[: -len(b"}}")] + b',"' + field.encode() + b'":' + rows + b"}}"


def referring_to(dataref: str, event: RequestEvent) -> RequestEvent:
    """The request without its instances, which are at `dataref`; their hash stays."""
    data: Any = {name: value for name, value in event["data"].items() if name != "instances"}
    return {**event, "data": data, "dataref": dataref}


def new_request(
    *,
    request_id: str,
    endpoint: str,
    instances: list[Any],
    deployments: list[str],
    now: float,
    key: str | None = None,
    deadline: float | None = None,
    metadata: Mapping[str, str] | None = None,
    callback: Callback | None = None,
) -> RequestEvent:
    """A request made at `now`; `now` and `deadline` are Unix seconds."""
    data: RequestData = {
        "endpoint": endpoint,
        "instances": instances,
        "deployments": deployments,
        "instances_hash": hash_of(instances),
    }
    if metadata:
        data["metadata"] = dict(metadata)
    if callback is not None:
        data["callback"] = callback
    event: RequestEvent = {
        "specversion": SPECVERSION,
        "id": request_id,
        "source": source_of(endpoint),
        "type": REQUEST_TYPE,
        "time": wire_time(now),
        "data": data,
    }
    if key is not None:
        event["partitionkey"] = key
    if deadline is not None:
        event["expirytime"] = wire_time(deadline)
    return event
