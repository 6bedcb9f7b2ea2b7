"""Messages as far as the database needs them.

They accept what the codecs of `predictq.messages` accept. What only passes through is not built as Python objects where
that can be helped: half the cost of a request is its instances, and the ledger wants none of them.
"""

import re
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from predictq.clock import TIME_PATTERN, parse_time, wire_time
from predictq.errors import BadMessage
from predictq.messages import (
    PREDICTION_TYPE,
    BatchEvent,
    Callback,
    Codec,
    DataRef,
    Envelope,
    Hash,
    Id,
    JobPlace,
    Name,
    PackedRows,
    PredictionEvent,
    RequestCodec,
    Time,
)

__all__ = ["EMITTED", "REQUEST", "Emitted", "SkimmedRequest", "skim_emitted", "skim_request", "time_or"]


class _Nothing(TypedDict):
    """Takes any JSON object and builds none of it."""


Unread = Annotated[_Nothing | Any, Field(union_mode="left_to_right")]


class SkimmedData(TypedDict):
    endpoint: Name
    instances: NotRequired[Annotated[list[Unread], Field(min_length=1)]]
    packed: NotRequired[PackedRows]
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
    dataref: NotRequired[DataRef]


Emitted = Annotated[PredictionEvent | BatchEvent, Field(discriminator="type")]

REQUEST: Codec[SkimmedRequest] = RequestCodec(SkimmedRequest)
_ROWS = ((b',"packed":{', b"}}}"), (b',"instances":[', b"]}}"))
"""How the rows of a job's request begin, and how they end with the message."""


def skim_request(value: bytes) -> SkimmedRequest:
    """A request without its instances. Raises BadMessage.

    Those of a job's rows stand last and are counted beside, so that they need not be read at all; what only looks as if
    it were so is read in full.
    """
    for begin, end in _ROWS:
        at = value.find(begin, 0, _HEAD_BYTES)
        if at > 0 and value.endswith(end) and value.rfind(b'"job":', 0, at) > 0:
            try:
                request = REQUEST.decode(value[:at] + b',"instances":[0]}}')
                if "job" in request["data"]:
                    return request
            except BadMessage:
                pass
    return REQUEST.decode(value)


_HEAD_BYTES = 4096
"""Within which the rows of a job's request begin; where they begin later all of it is read."""

EMITTED: Codec[PredictionEvent | BatchEvent] = Codec(Emitted)
"""What workers put on the topics of predictions."""

_LARGE_BYTES = 4096
"""From here on it costs less to read outputs apart, and to build none of them."""
_OUTPUTS = b',"outputs":'
_AFTER_OUTPUTS = re.compile(
    rb',"errors":\[\],"batch_id":(?:null|"[!-~]{1,128}"),"redrive":[0-9]{1,10},"instances_hash":"[0-9a-f]{64}"\}\}\Z'
)
_check_outputs = TypeAdapter(list[Unread]).validator.validate_json
_to_json = TypeAdapter(list[Any]).serializer.to_json  # NaN and infinities, which JSON has not, become null


def skim_emitted(value: bytes) -> tuple[PredictionEvent | BatchEvent, str]:
    """What a worker put on a topic of predictions, and a prediction's outputs as JSON, which the event may lack.

    Raises BadMessage.

    Many outputs are passed on as they were written, once they are known to be JSON.
    """
    if len(value) >= _LARGE_BYTES and (skimmed := _outputs_apart(value)) is not None:
        return skimmed
    event = EMITTED.decode(value)
    return event, _to_json(event["data"]["outputs"]).decode() if event["type"] == PREDICTION_TYPE else "[]"


def _outputs_apart(value: bytes) -> tuple[PredictionEvent | BatchEvent, str] | None:
    """None where the message is not written as our workers write it: whatever it is, it is read in full then."""
    start, after = value.find(_OUTPUTS, 0, _HEAD_BYTES), _AFTER_OUTPUTS.search(value, max(0, len(value) - _HEAD_BYTES))
    if start < 0 or after is None or b"NaN" in value or b"Infinity" in value:
        return None
    start += len(_OUTPUTS)
    outputs = value[start : after.start()]
    try:
        _check_outputs(outputs)
        return EMITTED.decode(value[:start] + b"[]" + value[after.start() :]), outputs.decode()
    except (ValidationError, BadMessage, UnicodeDecodeError):
        return None


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
