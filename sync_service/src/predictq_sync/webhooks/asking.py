"""The bodies of requests about webhooks, read within a bound and checked."""

from collections.abc import Collection
from typing import Annotated, Any, NotRequired, TypeVar

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from pydantic.config import JsonDict
from typing_extensions import TypedDict

from predictq.ids import is_uuid
from predictq.push.conditions import Condition
from predictq.push.events import EVENTS, check_events
from predictq.push.secrets import check_secret
from predictq.push.targets import MAX_URL, Targets
from predictq_sync.webhooks.keeping import WebhookSpec

__all__ = ["NEW_SECRET", "NEW_WEBHOOK", "NewSecret", "NewWebhook", "checked", "read"]

MAX_BODY_BYTES = 64 * 1024
BodyT = TypeVar("BodyT")


def _events(events: list[str]) -> list[str]:
    check_events(events)
    return events


def _when(text: str) -> str:
    Condition(text)
    return text


def _job(text: str) -> str:
    if not is_uuid(text):
        raise ValueError("is no id of a job")
    return text


_SECRET_SCHEMA: JsonDict = {"pattern": r"^whsec_([A-Za-z0-9+/]{4}){8,21}([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"}
Secret = Annotated[str, Field(max_length=200, json_schema_extra=_SECRET_SCHEMA), AfterValidator(check_secret)]


_EVENTS_SCHEMA: JsonDict = {"items": {"type": "string", "enum": list(EVENTS)}, "uniqueItems": True}


@with_config(ConfigDict(extra="forbid", hide_input_in_errors=True))
class NewWebhook(TypedDict):
    """A webhook to be made."""

    url: Annotated[str, Field(max_length=MAX_URL, json_schema_extra={"format": "uri"})]
    events: NotRequired[
        Annotated[list[str], Field(max_length=len(EVENTS), json_schema_extra=_EVENTS_SCHEMA), AfterValidator(_events)]
    ]
    """All but `job.progress` where it is absent or empty."""
    endpoint: NotRequired[str]
    """Only what belongs to it."""
    job: NotRequired[Annotated[str, Field(json_schema_extra={"format": "uuid"}), AfterValidator(_job)]]
    """Only the events of this job."""
    when: NotRequired[Annotated[str, AfterValidator(_when)]]
    """Only predictions with an output of which this is true, such as `probabilities.fraud >= 0.9`."""
    batch: NotRequired[bool]
    """Whether one push holds several events, as a JSON array."""
    secret: NotRequired[Secret]
    """`whsec_…`; one is made where it is absent."""


@with_config(ConfigDict(extra="forbid", hide_input_in_errors=True))
class NewSecret(TypedDict):
    """What a webhook is signed with from now on."""

    secret: NotRequired[Secret]
    """`whsec_…`; one is made where it is absent."""


NEW_WEBHOOK: TypeAdapter[NewWebhook] = TypeAdapter(NewWebhook)
NEW_SECRET: TypeAdapter[NewSecret] = TypeAdapter(NewSecret)


async def read(request: Request, adapter: TypeAdapter[BodyT]) -> BodyT:
    """The body, checked. Raises what is answered as 413 or 422; never tells a value, which may be a secret."""
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > MAX_BODY_BYTES:
            raise HTTPException(413, f"the body is too large; at most {MAX_BODY_BYTES} bytes would be right")
    try:
        return adapter.validate_json(bytes(raw) or b"{}")
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError([_fault(*each["loc"], detail=each["msg"]) for each in found]) from None


def checked(body: NewWebhook, targets: Targets, endpoints: Collection[str]) -> WebhookSpec:
    """The webhook that is asked for. Raises what is answered as 422."""
    try:
        targets.check(body["url"])
    except ValueError as error:
        raise RequestValidationError([_fault("url", detail=str(error))]) from None
    endpoint = body.get("endpoint")
    if endpoint is not None and endpoint not in endpoints:
        known = ", ".join(sorted(endpoints)) or "none is configured"
        raise RequestValidationError([_fault("endpoint", detail=f"there is no such endpoint; known: {known}")])
    return {
        "url": body["url"],
        "events": body.get("events", []),
        "endpoint": endpoint,
        "job": body.get("job"),
        "when": body.get("when"),
        "secret": body.get("secret"),
        "batch": body.get("batch", False),
    }


def _fault(*place: str | int, detail: str) -> dict[str, Any]:
    return {"loc": ("body", *place), "msg": detail.removeprefix("Value error, "), "type": "value_error"}
