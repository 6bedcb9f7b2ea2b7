"""`predictq.request.v1`: instances sent together under one id."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from pydantic_core import to_json
from typing_extensions import TypedDict

from predictq.clock import wire_time
from predictq.messages.envelope import SPECVERSION, Codec, Envelope, Hash, Id, Name, Time, source_of

__all__ = [
    "REQUEST",
    "REQUEST_TYPE",
    "Callback",
    "JobPlace",
    "RequestData",
    "RequestEvent",
    "encode_rows",
    "hash_of",
    "new_request",
]

REQUEST_TYPE: Literal["predictq.request.v1"] = "predictq.request.v1"


class JobPlace(TypedDict):
    """Where the instances of a request stand in the file of a job: one row after the other."""

    id: Id
    chunk: Annotated[int, Field(ge=0)]
    first_row: Annotated[int, Field(ge=0)]
    rows: Annotated[int, Field(ge=1)]
    """As many as there are instances: so that who counts them need not read them."""


class Callback(TypedDict):
    """Where the end of a request is pushed to."""

    url: str
    events: NotRequired[list[str]]
    """Those alone; all where it is absent."""


class RequestData(TypedDict):
    """The body of a request."""

    endpoint: Name
    instances: Annotated[list[Any], Field(min_length=1)]
    """Each a JSON object of named features or an array; the worker checks them one by one."""
    deployments: Annotated[list[Name], Field(min_length=1)]
    """The visible deployments that owe an answer, stamped by the producer."""
    instances_hash: Hash
    """Of the instances as compact JSON."""
    metadata: NotRequired[dict[str, str]]
    """The client's own labels, handed back with the result."""
    job: NotRequired[JobPlace]
    callback: NotRequired[Callback]


class RequestEvent(Envelope):
    """A request as it travels; its event id is the request's id."""

    id: Id
    type: Literal["predictq.request.v1"]
    data: RequestData
    partitionkey: NotRequired[str]
    """CloudEvents partitioning extension: requests of one key keep their order."""
    expirytime: NotRequired[Time]
    """CloudEvents expiry-time extension: not worth predicting after this."""


REQUEST: Codec[RequestEvent] = Codec(RequestEvent)


def hash_of(instances: Sequence[Any]) -> str:
    """The hash by which two bodies under one id are told apart."""
    return hashlib.sha256(to_json(instances)).hexdigest()


def encode_rows(event: RequestEvent, instances: bytes) -> bytes:
    """A request of rows of a job whose instances are JSON already. They stand last, so that they can be passed over.

    `event` has none; its `instances_hash` is that of these bytes.
    """
    data: dict[str, Any] = {name: value for name, value in event["data"].items() if name != "instances"}
    ordered: Any = {name: value for name, value in event.items() if name != "data"}
    ordered["data"] = {**data, "instances": []}
    head = REQUEST.encode(ordered)
    return head[: -len(b"[]}}")] + instances + b"}}"


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
