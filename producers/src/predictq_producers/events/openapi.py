"""What OpenAPI says about the route of events, whose body is read raw."""

from typing import Any

__all__ = ["EVENT_BODY", "EVENT_PARAMETERS", "EVENT_RESPONSES"]

_EVENT = {
    "title": "CloudEvent",
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1},
        "type": {"type": "string"},
        "predictqendpoint": {"type": "string", "description": "The endpoint that is to predict."},
        "partitionkey": {"type": "string", "description": "Requests of one key keep their order."},
        "expirytime": {"type": "string", "format": "date-time", "description": "Not worth predicting after this."},
        "datacontenttype": {"type": "string"},
        "data": {"description": "An instance, a list of them, or a body as on the endpoint's own route."},
        "data_base64": {"type": "string", "format": "byte"},
    },
}

EVENT_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/cloudevents+json": {"schema": _EVENT},
        "application/cloudevents-batch+json": {"schema": {"type": "array", "maxItems": 1000, "items": _EVENT}},
        "application/json": {
            "schema": {"description": "With headers `ce-…` the data of an event; else what an object store sends."}
        },
    },
}

EVENT_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "endpoint",
        "in": "query",
        "required": False,
        "schema": {"type": "string"},
        "description": "The endpoint of events that name none themselves.",
    },
]

_ACCEPTED = {
    "title": "Taken",
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "endpoint": {"type": "string"},
        "status": {"const": "queued"},
        "jobs": {"type": "array", "items": {"type": "object"}},
        "ignored": {"type": "array", "items": {"type": "object"}},
    },
}

EVENT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "Nothing was to be done: the notification is of objects that no rule is for."},
    202: {
        "description": "Accepted: held durably, and queued. Of a batch a list, in its order.",
        "content": {
            "application/json": {"schema": {"anyOf": [_ACCEPTED, {"type": "array", "items": _ACCEPTED}]}},
        },
    },
    400: {"description": "No JSON, or a header that cannot be read."},
    404: {"description": "No such endpoint."},
    413: {"description": "A larger body, more events or more instances than are taken."},
    415: {"description": "Data that is no JSON."},
    422: {"description": "No CloudEvent, or instances that do not fit."},
    503: {"description": "The broker is away, or nobody serves the endpoint; try again after `Retry-After`."},
}
