"""What OpenAPI says about the submit route, whose body is read raw so that it is parsed once."""

from typing import Any

from predictq.push.events import PREDICTION_EVENTS
from predictq.push.targets import MAX_URL

__all__ = ["SUBMIT_BODY", "SUBMIT_PARAMETERS", "SUBMIT_RESPONSES"]

_EXAMPLE_ID = "01936f2e-7c4d-7abc-8123-456789abcdef"

_INSTANCE = {
    "anyOf": [
        {"type": "object", "description": "features by name"},
        {"type": "array", "items": {}, "minItems": 1, "description": "values in the order of the features"},
    ]
}

SUBMIT_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "title": "Submission",
                "type": "object",
                "required": ["instances"],
                "not": {"required": ["deadline", "deadline_seconds"]},
                "additionalProperties": False,
                "properties": {
                    "instances": {
                        "type": "array",
                        "minItems": 1,
                        "items": _INSTANCE,
                        "description": "What to predict; `GET /v1/endpoints/{endpoint}` shows the schema of one.",
                    },
                    "key": {
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 255,
                        "description": "Requests of one key keep their order where the broker can.",
                    },
                    "deadline": {
                        "type": "string",
                        "format": "date-time",
                        "description": "Not worth predicting after this.",
                    },
                    "deadline_seconds": {
                        "type": "number",
                        "exclusiveMinimum": 0,
                        "description": "The same, counted from now; one of both.",
                    },
                    "metadata": {
                        "type": "object",
                        "additionalProperties": {"type": "string"},
                        "description": "Labels of your own, handed back with the result.",
                    },
                    "callback": {
                        "type": "object",
                        "required": ["url"],
                        "additionalProperties": False,
                        "properties": {
                            "url": {"type": "string", "format": "uri", "maxLength": MAX_URL},
                            "events": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"enum": list(PREDICTION_EVENTS)},
                                "description": "Those alone; all where it is absent.",
                            },
                        },
                        "description": "Where the end of the request is pushed to, signed as Standard Webhooks has it.",
                    },
                },
            },
            "examples": {
                "named": {
                    "summary": "Features by name",
                    "value": {"instances": [{"mean radius": 14.2, "mean texture": 20.4}]},
                },
                "arrays": {
                    "summary": "Several instances, as arrays",
                    "value": {"instances": [[14.2, 20.4], [11.1, 17.9]], "deadline_seconds": 60},
                },
            },
        }
    },
}

SUBMIT_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "Prefer",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "`wait=N` holds the answer for up to N seconds, until the result is there (RFC 7240).",
        "example": "wait=10",
    },
    {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "description": "The same key with the same body is the same request, however often it is sent.",
        "example": "order-1234",
    },
]

_HEADERS = {
    "Location": {"schema": {"type": "string"}, "description": "Where the result will be."},
    "Preference-Applied": {"schema": {"type": "string"}, "description": "Which preferences were honoured."},
}

SUBMIT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The result, in time for `Prefer: wait`.",
        "headers": _HEADERS,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RequestBody"}}},
    },
    202: {
        "description": "Accepted: held durably, and queued.",
        "headers": {**_HEADERS, "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}},
        "content": {
            "application/json": {
                "schema": {
                    "title": "Accepted",
                    "type": "object",
                    "required": ["id", "endpoint", "status"],
                    "properties": {
                        "id": {"type": "string", "format": "uuid"},
                        "endpoint": {"type": "string"},
                        "status": {"const": "queued"},
                    },
                },
                "example": {"id": _EXAMPLE_ID, "endpoint": "tumours", "status": "queued"},
            }
        },
    },
    400: {"description": "No JSON, or a header that cannot be read."},
    404: {"description": "No such endpoint."},
    413: {"description": "A larger body, or more or larger instances, than the endpoint takes."},
    415: {"description": "Not `application/json`."},
    422: {"description": "Instances that do not fit, or a key used with another body."},
    503: {"description": "Broker or storage is away, or too much waits for it; try again after `Retry-After`."},
}
