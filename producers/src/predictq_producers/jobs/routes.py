"""The write side of jobs: `POST /v1/endpoints/{endpoint}/jobs`."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from predictq.ids import new_id
from predictq.push.events import JOB_EVENTS
from predictq.storage import Storage
from predictq_producers.bodies import read_body
from predictq_producers.deriving import keyed_job_id
from predictq_producers.headers import idempotency_key
from predictq_producers.jobs.submitting import OPTIONS, JobMaker, columns_named
from predictq_producers.jobs.uploading import Uploaded, clean_name, upload_body, upload_form
from predictq_producers.parsing import parse_json
from predictq_producers.publishing import Publisher
from predictq_producers.refusals import Fault, Refused

__all__ = ["add_job_submit_route"]

MAX_JSON_BYTES = 64 * 1024
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
    422: {"description": "An option is unknown or wrong."},
    503: {"description": "Nobody serves the endpoint, or broker or storage are away; `Retry-After` says when."},
}
_FILES = {
    "text/csv": "rows.csv",
    "text/tab-separated-values": "rows.tsv",
    "application/x-ndjson": "rows.jsonl",
    "application/jsonl": "rows.jsonl",
    "application/vnd.apache.parquet": "rows.parquet",
    "application/vnd.apache.arrow.file": "rows.arrow",
    "application/octet-stream": "",
    "application/gzip": "",
    "application/zstd": "",
}


def add_job_submit_route(
    router: APIRouter, maker: JobMaker, publisher: Publisher, storage: Storage, *, max_upload_bytes: int
) -> None:
    """Add the route on which files come in."""

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

        Accepted means that the file is in the storage and that the broker holds the job durably.
        """
        maker.check(endpoint)
        key = idempotency_key(request.headers.get("idempotency-key"))
        job_id = new_id() if key is None else keyed_job_id(endpoint, key)
        message = await _message(request, endpoint, job_id)
        await publisher.publish(message)
        return Response(
            to_json({"id": job_id, "endpoint": endpoint, "status": "queued"}),
            202,
            {"location": f"/v1/jobs/{job_id}", "retry-after": "1"},
            "application/json",
        )

    async def _message(request: Request, endpoint: str, job_id: str) -> Any:
        kind = request.headers.get("content-type", "")
        media_type = kind.partition(";")[0].strip().lower()
        asked: dict[str, Any] = dict(request.query_params)
        if "keep" in asked:
            asked["keep"] = _kept(request.query_params.getlist("keep"))
        if media_type == "application/json":
            body = await _json(request)
            url = body.pop("source", None)
            return maker.of_source(endpoint, job_id, url, {**asked, **body})
        # Apart from what came under the same key before, which may be read just now.
        folder = ("jobs", job_id, "uploads", new_id())
        place = (*folder, "rows")
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced[:20]) > max_upload_bytes + MAX_JSON_BYTES:
            right = f"at most {max_upload_bytes} bytes (jobs.max_upload_bytes) would be right"
            raise Refused(413, "the file is too large", [Fault("/file", right)])
        if media_type == "multipart/form-data":
            uploaded = await upload_form(request.stream(), kind, storage, place, max_bytes=max_upload_bytes)
        elif media_type in _FILES:
            name = clean_name(asked.pop("name", "")) or _FILES[media_type]
            uploaded = await upload_body(request.stream(), name, storage, place, max_bytes=max_upload_bytes)
        else:
            raise Refused(415, f"content type {media_type[:80] or 'missing'!r}: multipart/form-data would be right")
        try:
            options = {**asked, **_options(uploaded)}
            return maker.of_upload(endpoint, job_id, storage.url_of(*place), uploaded.name, options)
        except Refused:
            await asyncio.to_thread(storage.delete, *folder)
            raise


def _options(uploaded: Uploaded) -> Mapping[str, Any]:
    options: dict[str, Any] = {}
    for name, values in uploaded.fields.items():
        if name == "keep":
            options[name] = _kept(values)
        elif name == "metadata":
            options[name] = parse_json(values[-1].encode()) if values[-1].startswith("{") else values[-1]
        else:
            options[name] = values[-1]
    return options


def _kept(values: Sequence[str]) -> list[Any]:
    return [column for text in values for column in columns_named(text)]


async def _json(request: Request) -> dict[str, Any]:
    body = parse_json(await read_body(request, MAX_JSON_BYTES))
    if not isinstance(body, dict):
        raise Refused(422, 'the body is no JSON object; {"source": "s3://…"} would be right')
    return body
