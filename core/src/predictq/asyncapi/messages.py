"""The messages of the document: CloudEvents as the code reads them, and the headers beside them."""

from collections.abc import Mapping
from typing import Any

from predictq.clock import TIME_PATTERN
from predictq.messages import BATCH, CANCEL, CHUNK, COMMIT, JOB, PREDICTION, REQUEST, Codec

__all__ = ["CLOUD_EVENT", "MESSAGES", "SCHEMAS"]

SCHEMA_REF = "#/components/schemas/{model}"
CLOUD_EVENT = "application/cloudevents+json"
KEY = {"kafka": {"key": {"type": "string", "description": "The `partitionkey`; the messages of one keep their order."}}}
"""As its binding says it; on other brokers the key is no part of the protocol."""

_CODECS: Mapping[str, tuple[Codec[Any], str]] = {
    "request": (REQUEST, "Instances sent together under one id."),
    "prediction": (PREDICTION, "What one deployment answered to one request."),
    "batch": (BATCH, "What is known about one mini-batch."),
    "job": (JOB, "A step of a job."),
    "chunk": (CHUNK, "A run of a job's rows, to be cut into requests, or cut."),
    "commit": (COMMIT, "Requests that have just become readable as finished."),
    "cancel": (CANCEL, "Requests that are not worth predicting any more."),
}


def _header(description: str, pattern: str | None = None) -> dict[str, Any]:
    return {"type": "string", "description": description, **({"pattern": pattern} if pattern else {})}


_NUMBER = r"^[0-9]+$"
_REDRIVE = {"redrive": _header("How often an operator sent it again; 0 where it is missing.", _NUMBER)}
_RETRY = {
    "attempt": _header("How often the model is tried on it, this time included; 1 where it is missing.", _NUMBER),
    "alone": _header("It is handed out by itself, for it may end the process that has it in hand."),
    **_REDRIVE,
}
_DEAD = {
    "dead-group": _header("Who gave it up."),
    "dead-reason": _header("Why."),
    "dead-attempts": _header("How often the model was tried on it.", _NUMBER),
    "dead-redeliveries": _header("How often the broker had handed it out before.", _NUMBER),
    "dead-topic": _header("Where it stood."),
    "dead-partition": _header("Where it stood.", _NUMBER),
    "dead-position": _header("Where it stood, in the words of the broker."),
    "dead-published-at": _header("When it was published.", TIME_PATTERN),
    "dead-at": _header("When it was given up.", TIME_PATTERN),
}


def _headers(properties: Mapping[str, Any], required: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": {**(required or {}), **properties}, "required": sorted(required or {})}


def _events() -> tuple[dict[str, Any], dict[str, Any]]:
    messages: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for name, (codec, summary) in _CODECS.items():
        schema = codec.schema(SCHEMA_REF)
        schemas |= schema.pop("$defs", {})
        schemas[schema["title"]] = schema
        messages[name] = {
            "name": schema["properties"]["type"]["const"],
            "summary": summary,
            "contentType": CLOUD_EVENT,
            "payload": {"$ref": SCHEMA_REF.format(model=schema["title"])},
            "bindings": KEY,
        }
    return messages, schemas


_EVENTS, SCHEMAS = _events()
"""By their titles, which is how they refer to one another."""
MESSAGES: Mapping[str, Any] = {
    **_EVENTS,
    "retry": {
        **_EVENTS["request"],
        "summary": "A request, once more for one deployment.",
        "headers": _headers(_RETRY),
    },
    "deadLetter": {
        "name": "dead letter",
        "summary": "A message as it came, whatever it was.",
        "contentType": "application/octet-stream",
        "headers": _headers(_RETRY, _DEAD),
        "payload": {"description": "Any bytes: mostly a message of the topic that `dead-topic` names."},
        "bindings": KEY,
    },
    "foreign": {
        "name": "foreign message",
        "summary": "Instances in JSON, or a CloudEvent whose data they are.",
        "description": (
            "An instance, an array of some, or an object with `instances` and, optionally, an `id`; as it stands, or as"
            " the `data` of a CloudEvent of any type. On RabbitMQ one that has no id of its own needs a `message_id`."
        ),
        "contentType": "application/json",
        "payload": {"type": ["object", "array"]},
    },
}
"""By their names among the components."""
