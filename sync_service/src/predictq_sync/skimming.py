"""Messages as far as the database needs them.

They accept what the codecs of `predictq.messages` accept, and beyond that bound what becomes a key. What only passes
through is not built as Python objects where that can be helped: half the cost of a request is its instances, and the
ledger wants none of them.
"""

import re
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from predictq.clock import TIME_PATTERN, parse_time, wire_time
from predictq.messages import BatchData, Codec, Envelope, InstanceError, Status
from predictq.names import NAME_PATTERN

__all__ = ["EMITTED", "REQUEST", "Emitted", "PredictionEvent", "RequestEvent", "time_or"]

Key = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,128}$")]
"""PostgreSQL refuses NUL in text, and rows of an index beyond some 2,700 bytes."""
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Time = Annotated[str, Field(pattern=TIME_PATTERN)]


class _Nothing(TypedDict):
    """Takes any JSON object and builds none of it."""


Unread = Annotated[_Nothing | Any, Field(union_mode="left_to_right")]


class RequestData(TypedDict):
    endpoint: Name
    instances: Annotated[list[Unread], Field(min_length=1)]
    deployments: list[Name]
    instances_hash: str
    metadata: NotRequired[dict[str, str]]


class RequestEvent(Envelope):
    """A request without its instances."""

    id: Key
    type: Literal["predictq.request.v1"]
    data: RequestData
    partitionkey: NotRequired[str]
    expirytime: NotRequired[Time]


class PredictionData(TypedDict):
    request_id: Key
    endpoint: str
    deployment: Name
    model_version: str
    status: Status
    outputs: list[Any]
    errors: list[InstanceError]
    batch_id: str | None
    redrive: Annotated[int, Field(ge=0, lt=2**31)]
    instances_hash: str


class PredictionEvent(Envelope):
    """A prediction; `outputs` and `errors` are serialised again by whoever stores them."""

    type: Literal["predictq.prediction.v1"]
    data: PredictionData


class BatchEvent(Envelope):
    id: Key
    type: Literal["predictq.batch.v1"]
    data: BatchData


Emitted = Annotated[PredictionEvent | BatchEvent, Field(discriminator="type")]

REQUEST: Codec[RequestEvent] = Codec(RequestEvent)
EMITTED: Codec[PredictionEvent | BatchEvent] = Codec(Emitted)
"""What workers put on the topics of predictions."""

_is_wire_time = re.compile(TIME_PATTERN).match


def time_or(text: str, published_at: float) -> str:
    """An event's `time` as the tables hold it; when the record was published where it is none.

    CloudEvents allows any RFC 3339 time and workers do not look at it, so it is no reason to refuse an event.
    """
    if _is_wire_time(text) is not None:
        return text
    try:
        return wire_time(parse_time(text))
    except (ValueError, OverflowError):
        return wire_time(published_at)
