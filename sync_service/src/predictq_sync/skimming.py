"""Messages as far as the database needs them.

They accept what the codecs of `predictq.messages` accept. What only passes through is not built as Python objects where
that can be helped: half the cost of a request is its instances, and the ledger wants none of them.
"""

import re
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from predictq.clock import TIME_PATTERN, parse_time, wire_time
from predictq.errors import BadMessage
from predictq.messages import BatchEvent, Callback, Codec, Envelope, Hash, Id, JobPlace, Name, PredictionEvent, Time

__all__ = ["EMITTED", "REQUEST", "Emitted", "SkimmedRequest", "skim_request", "time_or"]


class _Nothing(TypedDict):
    """Takes any JSON object and builds none of it."""


Unread = Annotated[_Nothing | Any, Field(union_mode="left_to_right")]


class SkimmedData(TypedDict):
    endpoint: Name
    instances: Annotated[list[Unread], Field(min_length=1)]
    deployments: Annotated[list[Name], Field(min_length=1)]
    instances_hash: Hash
    metadata: NotRequired[dict[str, str]]
    job: NotRequired[JobPlace]
    callback: NotRequired[Callback]


class SkimmedRequest(Envelope):
    """A request without its instances."""

    id: Id
    type: Literal["predictq.request.v1"]
    data: SkimmedData
    partitionkey: NotRequired[str]
    expirytime: NotRequired[Time]


Emitted = Annotated[PredictionEvent | BatchEvent, Field(discriminator="type")]

REQUEST: Codec[SkimmedRequest] = Codec(SkimmedRequest)
_INSTANCES = b',"instances":['


def skim_request(value: bytes) -> SkimmedRequest:
    """A request without its instances. Raises BadMessage.

    Those of a job's rows stand last and are counted beside, so that they need not be read at all; what only looks as if
    it were so is read in full.
    """
    at = value.find(_INSTANCES)
    if at > 0 and value.endswith(b"]}}") and value.rfind(b'"job":', 0, at) > 0:
        try:
            request = REQUEST.decode(value[:at] + b',"instances":[0]}}')
            if "job" in request["data"]:
                return request
        except BadMessage:
            pass
    return REQUEST.decode(value)


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
