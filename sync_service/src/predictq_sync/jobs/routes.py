"""The read side of jobs: how far they are, their results and errors, and giving them up."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic_core import to_json

from predictq.brokers.port import Message
from predictq.errors import UserMistake
from predictq.messages import CANCEL, COMMIT, new_cancel, new_commit
from predictq.names import Names
from predictq_sync.jobs.reading import JobBody, JobPage, JobReader
from predictq_sync.jobs.writing import MEDIA_TYPES
from predictq_sync.lookup import LEDGER_POLL_SECONDS, LEDGER_SECONDS, NotInLedger

__all__ = ["ABSENT", "AWAY", "add_job_routes"]

RETRY_AFTER = "1"
HINTED = 1000
"""Ids in one hint."""
STATUSES = ("queued", "running", "completed", "failed", "cancelled")
ABSENT = {"description": "Never submitted, or kept no longer."}
AWAY = {"description": "The database or the storage is away; try again after `Retry-After`."}
_FILES = {
    media_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
    for media_type in MEDIA_TYPES.values()
}


def add_job_routes(
    router: APIRouter,
    reader: JobReader,
    find: Callable[[str], Awaitable[JobBody]],
    hint: Callable[[Message], None],
    *,
    names: Names,
) -> None:
    """Add the routes; `find` raises where there is no such job, `hint` publishes without a promise."""

    @router.get(
        "/v1/jobs",
        tags=["jobs"],
        summary="List jobs",
        operation_id="list_jobs",
        responses={
            200: {"model": JobPage},
            400: {"description": "A filter or cursor that is none."},
            422: {"description": "A limit that is out of bounds."},
            503: AWAY,
        },
        response_class=Response,
    )
    async def list_jobs(
        endpoint: str | None = None,
        status: str | None = Query(default=None, json_schema_extra={"enum": list(STATUSES)}),
        cursor: str | None = None,
        limit: int = Query(default=50, ge=1, le=500),
    ) -> Response:
        """The latest first; `next` is the cursor of the page that follows."""
        if status is not None and status not in STATUSES:
            raise HTTPException(400, f"status {status[:40]!r} is none of a job; {', '.join(STATUSES)} are")
        try:
            page = await asyncio.to_thread(
                lambda: reader.page(endpoint=endpoint, status=status, cursor=cursor, limit=limit)
            )
        except UserMistake as error:
            raise HTTPException(400, str(error)) from error
        return Response(to_json(page), 200, media_type="application/json")

    @router.get(
        "/v1/jobs/{job_id}",
        tags=["jobs"],
        summary="Show a job",
        operation_id="show_job",
        responses={200: {"model": JobBody}, 404: ABSENT, 503: AWAY},
        response_class=Response,
    )
    async def show_job(job_id: str) -> Response:
        """How far the job is: true at this moment."""
        body = await find(job_id)
        headers = {"retry-after": RETRY_AFTER} if body["completed_at"] is None else None
        return Response(to_json(body), 200, headers, "application/json")

    @router.post(
        "/v1/jobs/{job_id}/cancel",
        tags=["jobs"],
        summary="Cancel a job",
        operation_id="cancel_job",
        responses={200: {"model": JobBody}, 404: ABSENT, 503: AWAY},
        response_class=Response,
    )
    async def cancel_job(job_id: str) -> Response:
        """What is not predicted yet never will be; what is stays readable. A job that is over stays as it is."""
        canonical = (await find(job_id))["id"]
        deadline = time.monotonic() + LEDGER_SECONDS
        while (body := (cancelled := await asyncio.to_thread(reader.cancel, canonical))[0]) is None:
            if time.monotonic() >= deadline:
                raise NotInLedger("the job is not in the ledger yet; cancel it again in a moment")
            await asyncio.sleep(LEDGER_POLL_SECONDS)
        if body["status"] == "cancelled":
            now = time.time()
            ids = [canonical, *cancelled[1]]
            for start in range(0, len(ids), HINTED):
                hint(Message(names.cancels, CANCEL.encode(new_cancel(ids[start : start + HINTED], now))))
            hint(Message(names.commits, COMMIT.encode(new_commit([canonical], now))))
        return Response(to_json(body), 200, media_type="application/json")
