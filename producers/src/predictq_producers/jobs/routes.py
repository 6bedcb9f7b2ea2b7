"""The write side of jobs: `POST /v1/endpoints/{endpoint}/jobs`."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from predictq.ids import new_id
from predictq.push.events import JOB_EVENTS
from predictq.storage import Storage
from predictq_producers.deriving import keyed_job_id
from predictq_producers.headers import idempotency_key
from predictq_producers.jobs.submitting import OPTIONS, JobMaker
from predictq_producers.jobs.taking import JobTaker
from predictq_producers.keyed import KeyedSubmits
from predictq_producers.publishing import Publisher
from predictq_producers.refusals import Refused

__all__ = ["add_job_submit_route"]

_TEXTS = {"type": "string"}
_CALLBACK_URL = {"type": "string", "format": "uri", "description": "Where the end of the job is pushed to."}
_CALLBACK = {
    "type": "object",
    "required": ["url"],
    "additionalProperties": False,
    "properties": {
        "url": _CALLBACK_URL,
        "events": {
            "type": "array",
            "minItems": 1,
            "items": {"enum": list(JOB_EVENTS)},
            "description": "Those alone; where it is absent, all but `job.progress`.",
        },
    },
}
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {"type": "string", "format": "binary", "description": "The rows."},
                    **{name: _TEXTS for name in OPTIONS if name != "metadata"},
                },
            }
        },
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["source"],
                "properties": {
                    "source": {"type": "string", "description": "URL of a file, below one of `jobs.sources`."},
                    **{name: {} for name in OPTIONS if name != "callback"},
                    "callback": {"oneOf": [_CALLBACK_URL, _CALLBACK]},
                },
            }
        },
        "text/csv": {"schema": {"type": "string", "format": "binary"}},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}
_ANSWER = {
    "type": "object",
    "required": ["id", "endpoint", "status"],
    "properties": {"id": _TEXTS, "endpoint": _TEXTS, "status": {"const": "queued"}},
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "The file is stored and the job accepted; `GET` its `Location`.",
        "content": {"application/json": {"schema": _ANSWER}},
    },
    400: {"description": "The upload was cut off, or its form is broken."},
    403: {"description": "The source, or the place of the result, is not among those that the settings allow."},
    404: {"description": "No such endpoint."},
    413: {"description": "The file is larger than `jobs.max_upload_bytes`."},
    415: {"description": "Neither a form, nor a file, nor JSON."},
    422: {"description": "An option is unknown or wrong, or the key came with another file before."},
    503: {"description": "Nobody serves the endpoint, or broker or storage are away; `Retry-After` says when."},
}


def add_job_submit_route(
    router: APIRouter,
    maker: JobMaker,
    publisher: Publisher,
    storage: Storage,
    hash_of: Callable[[str], Awaitable[str | None]],
    *,
    max_upload_bytes: int,
) -> None:
    """Add the route on which files come in. `hash_of` says what is known of a job under a key."""
    taker = JobTaker(maker, storage, max_upload_bytes=max_upload_bytes)
    keyed = KeyedSubmits(hash_of, "/file")

    @router.post(
        "/v1/endpoints/{endpoint}/jobs",
        tags=["jobs"],
        summary="Predict all rows of a file",
        operation_id="submit_job",
        status_code=202,
        response_class=Response,
        responses=_RESPONSES,
        openapi_extra={
            "requestBody": _BODY,
            "parameters": [
                {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}},
                *({"name": name, "in": "query", "schema": _TEXTS} for name in OPTIONS if name != "metadata"),
            ],
        },
    )
    async def submit_job(endpoint: str, request: Request) -> Response:
        """Upload a file as a form (field `file`) or as the body, or name a `source`; each row is predicted.

        Accepted means that the file is in the storage and that the broker holds the job durably. With an
        `Idempotency-Key` the same may be sent again without being done again.
        """
        maker.check(endpoint)
        key = idempotency_key(request.headers.get("idempotency-key"))
        job_id = new_id() if key is None else keyed_job_id(endpoint, key)
        taken = await taker.take(request, endpoint, job_id, keyed=key is not None)
        if taken.content_hash is None:
            await publisher.publish(taken.message)
        else:
            try:
                new = await keyed.submit(job_id, taken.content_hash, lambda: publisher.publish(taken.message))
            except Refused:
                await taker.forget(taken.folder)
                raise
            if not new:
                await taker.forget(taken.folder)
        return Response(
            to_json({"id": job_id, "endpoint": endpoint, "status": "queued"}),
            202,
            {"location": f"/v1/jobs/{job_id}", "retry-after": "1"},
            "application/json",
        )
