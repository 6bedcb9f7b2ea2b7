"""The messages of the subprotocol `predictq.v1`, JSON text both ways."""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError, from_json, to_json

from predictq_gateway.problems import Problem
from predictq_producers.parsing import parse_json
from predictq_producers.refusals import MAX_FAULTS, Fault, Refused, pointer
from predictq_sync.streams.events import Event

__all__ = [
    "SUBPROTOCOL",
    "Acknowledge",
    "Message",
    "Ping",
    "Received",
    "Submit",
    "Subscribe",
    "Unsubscribe",
    "accepted",
    "ended",
    "error",
    "event",
    "fell_behind",
    "pong",
    "read",
    "subscribed",
    "unsubscribed",
    "welcome",
]

SUBPROTOCOL = "predictq.v1"

Ref = Annotated[str, Field(min_length=1, max_length=64)]
"""Chosen by the client, and in every answer to the message; of a subscription, in its events too."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Submit(_Message):
    """A request to be accepted and then followed to its end, under the same ref."""

    type: Literal["submit"]
    ref: Ref
    endpoint: str
    request: Any
    """As the body of `POST /v1/endpoints/{endpoint}/predictions`."""
    idempotency_key: str | None = None


class Subscribe(_Message):
    """Follow one thing, from what it is now or from behind the event with that cursor."""

    type: Literal["subscribe"]
    ref: Ref
    prediction: str | None = None
    job: str | None = None
    endpoint: str | None = None
    cursor: str | None = None

    @model_validator(mode="after")
    def _one(self) -> "Subscribe":
        if sum(each is not None for each in (self.prediction, self.job, self.endpoint)) != 1:
            raise PydanticCustomError("one", "names not exactly one of prediction, job and endpoint")
        return self


class Unsubscribe(_Message):
    """No more events of the subscription, or the submit, of that ref."""

    type: Literal["unsubscribe"]
    ref: Ref
    subscription: Ref


class Acknowledge(_Message):
    """Every event up to `seq` is done with: as many more may come. Has no answer."""

    type: Literal["ack"]
    seq: Annotated[int, Field(ge=0, lt=2**53)]
    ref: Ref | None = None


class Ping(_Message):
    """Is anyone there? For browsers, which cannot send the protocol's own."""

    type: Literal["ping"]
    ref: Ref


Message = Submit | Subscribe | Unsubscribe | Acknowledge | Ping


class Received(NamedTuple):
    """A message of the client."""

    ref: str | None
    """None where it has none that can be echoed."""
    message: Message | Refused
    """What it says, or why it says nothing."""


def read(text: str) -> Received:
    """What a client sent."""
    try:
        body = parse_json(text.encode())
    except Refused as refused:
        return Received(None, refused)
    ref = body.get("ref") if isinstance(body, dict) else None
    if not (isinstance(ref, str) and 1 <= len(ref) <= 64):
        ref = None
    try:
        return Received(ref, _MESSAGES.validate_python(body))
    except ValidationError as error:
        return Received(ref, Refused(422, "this is no message of predictq.v1", _faults(error)))


def welcome(window: int, *, max_message_bytes: int, max_subscriptions: int) -> str:
    """The first message of all: what the connection allows."""
    return _text(
        {
            "type": "welcome",
            "window": window,
            "max_message_bytes": max_message_bytes,
            "max_subscriptions": max_subscriptions,
        }
    )


def accepted(ref: str, request_id: str, endpoint: str) -> str:
    """The broker holds the request durably."""
    return _text({"type": "accepted", "ref": ref, "id": request_id, "endpoint": endpoint})


def subscribed(ref: str, cursor: str | None) -> str:
    """Events follow; those of an endpoint behind this cursor."""
    return _text({"type": "subscribed", "ref": ref} | ({} if cursor is None else {"cursor": cursor}))


def unsubscribed(ref: str) -> str:
    """No event of that subscription comes behind this."""
    return _text({"type": "unsubscribed", "ref": ref})


def ended(ref: str) -> str:
    """Everything was said of the request or the job."""
    return _text({"type": "ended", "ref": ref})


def pong(ref: str) -> str:
    """Someone is there."""
    return _text({"type": "pong", "ref": ref})


def error(ref: str | None, problem: Problem) -> str:
    """The message of that ref, or the subscription, has come to nothing."""
    return _text({"type": "error", "ref": ref, "problem": problem.body})


def fell_behind(ref: str, told: Event) -> str:
    """Something is lost; the subscription goes on at the cursor where there is one, else it ends."""
    at = {} if told.cursor is None else {"cursor": told.cursor}
    return _text({"type": "error", "ref": ref, **at, "problem": from_json(bytes(told.data))})


def event(ref: str, seq: int, told: Event) -> str:
    """Something that happened. `seq` counts the events of the connection, from 1, for `ack`."""
    head = _text({"type": "event", "ref": ref, "seq": seq, "event": told.name, "cursor": told.cursor})
    return f'{head[:-1]},"data":{str(told.data, "utf-8")}}}'


def _text(body: dict[str, Any]) -> str:
    return to_json(body).decode()


def _faults(error: ValidationError) -> list[Fault]:
    # The first step is the type, by which pydantic has found the kind of message.
    found = error.errors(include_url=False, include_input=False)[:MAX_FAULTS]
    return [Fault(pointer(*each["loc"][1:]), each["msg"]) for each in found]


_MESSAGES: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])
