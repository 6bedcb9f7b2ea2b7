"""What came of a job, over HTTP: its results and its errors, streamed as far as they are there."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from predictq_sync.jobs.reading import JobBody
from predictq_sync.jobs.results import JobResults
from predictq_sync.jobs.routes import ABSENT, AWAY
from predictq_sync.jobs.writing import MEDIA_TYPES, ResultFormat, write_errors, write_results

__all__ = ["add_result_routes"]

_BYTES = {"schema": {"type": "string", "format": "binary"}}
_FILES = {media_type.partition(";")[0]: _BYTES for media_type in MEDIA_TYPES.values()}


def add_result_routes(router: APIRouter, results: JobResults, find: Callable[[str], Awaitable[JobBody]]) -> None:
    """Add the routes; `find` raises where there is no such job."""

    @router.get(
        "/v1/jobs/{job_id}/results",
        tags=["jobs"],
        summary="Read the results of a job",
        operation_id="read_results",
        responses={
            200: {"content": _FILES, "description": "A line or row for each row."},
            404: ABSENT,
            422: {"description": "A format that is none."},
            503: AWAY,
        },
        response_class=Response,
    )
    async def read_results(
        job_id: str,
        request: Request,
        format: ResultFormat | None = None,  # noqa: A002 - the parameter's name
    ) -> Response:
        """In the order of the file, as CSV, JSON Lines or Parquet; also while the job runs, as far as it is."""
        body = await find(job_id)
        form = format or _accepted(request.headers.get("accept", ""))
        deployments = await asyncio.to_thread(results.deployments, body["id"])
        parts = write_results(results.pages(body["id"]), deployments, form)
        return await _streamed(parts, MEDIA_TYPES[form], f"{body['id']}.{form}")

    @router.get(
        "/v1/jobs/{job_id}/errors",
        tags=["jobs"],
        summary="Read which rows failed, and why",
        operation_id="read_errors",
        responses={200: {"content": {"application/x-ndjson": {}}}, 404: ABSENT, 503: AWAY},
        response_class=Response,
    )
    async def read_errors(job_id: str) -> Response:
        """JSON Lines: row, column, reason, deployment, and the row as it was."""
        body = await find(job_id)
        return await _streamed(
            write_errors(results.errors(body["id"])), MEDIA_TYPES["jsonl"], f"{body['id']}.errors.jsonl"
        )


async def _streamed(parts: Iterator[bytes], media_type: str, name: str) -> Response:
    # The first part before any header is sent: what is away is told by a status.
    first = await asyncio.to_thread(next, parts, b"")

    def whole() -> Iterator[bytes]:
        yield first
        yield from parts

    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(whole(), 200, headers, media_type)


def _accepted(header: str) -> ResultFormat:
    """The first of ours that the client names; CSV where it names none."""
    for part in header.split(","):
        media_type = part.partition(";")[0].strip().lower()
        for form, known in MEDIA_TYPES.items():
            if media_type == known.partition(";")[0]:
                return form
    return "csv"
