"""Jobs as clients see them."""

import base64
import binascii
import time
from collections.abc import Callable, Sequence
from typing import Any, NotRequired

from pydantic_core import from_json
from sqlalchemy import Connection, Row, and_, bindparam, func, or_, select, update
from typing_extensions import TypedDict

from predictq.clock import parse_time, wire_time
from predictq.errors import UserMistake
from predictq_sync.cancelling import Cancelling
from predictq_sync.database import Database
from predictq_sync.jobs.progress import cancel_open_requests
from predictq_sync.jobs.tallying import tally
from predictq_sync.tables import chunks, job_results, jobs

__all__ = ["JobBody", "JobPage", "JobReader", "ResultFile", "RowCounts"]


class RowCounts(TypedDict):
    """Rows, by what became of them."""

    total: int | None
    """Null until the file was read to its end."""
    succeeded: int
    failed: int
    expired: int
    cancelled: int
    queued: int


class ResultFile(TypedDict):
    """The file that the results are written to."""

    url: str
    format: str
    written_at: str | None
    """Null until it is there."""
    error: str | None
    """Why it is not there yet, or never will be."""


class JobBody(TypedDict):
    """A job and how far it is."""

    id: str
    endpoint: str | None
    status: str
    counts: RowCounts
    rows_per_second: float | None
    """Since its first row was read; null before."""
    eta_seconds: float | None
    """At that rate; null where it cannot be told, and when it is over."""
    created_at: str | None
    started_at: str | None
    completed_at: str | None
    reason: str | None
    """Why it failed."""
    results: str
    errors: str
    source: NotRequired[str]
    """Name of the file."""
    metadata: NotRequired[dict[str, str]]
    result: NotRequired[ResultFile]
    """Where one was asked for."""


class JobPage(TypedDict):
    """Jobs, the latest first."""

    jobs: list[JobBody]
    next: str | None
    """Cursor of the next page."""


class JobReader:
    """Reads and cancels jobs. Blocks; may be used by any thread."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._cancel = Cancelling(database.dialect)
        self._clock = clock

    def job(self, job_id: str) -> JobBody | None:
        """The job as it is now; None where the database does not know it."""
        with self._database.read() as connection:
            row = connection.execute(_READ, {"id": job_id}).one_or_none()
            return None if row is None else self._body(connection, row)

    def hash_of(self, job_id: str) -> str | None:
        """What a job under a key was made of, as its message has it; None where the database does not know it."""
        with self._database.read() as connection:
            asked = connection.execute(_ASKED, {"id": job_id}).scalar()
        return None if asked is None else from_json(asked).get("content_hash")

    def page(self, *, endpoint: str | None, status: str | None, cursor: str | None, limit: int) -> JobPage:
        """Some jobs, the latest first. Raises UserMistake for a cursor that is none of ours."""
        query = _JOBS.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit + 1)
        if endpoint is not None:
            query = query.where(jobs.c.endpoint == endpoint)
        if status is not None:
            query = query.where(jobs.c.status == status)
        if cursor is not None:
            at, last = _of_cursor(cursor)
            query = query.where(or_(jobs.c.created_at < at, and_(jobs.c.created_at == at, jobs.c.id < last)))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            bodies = [self._body(connection, row) for row in rows[:limit]]
        more = rows[limit - 1] if len(rows) > limit else None
        return {"jobs": bodies, "next": _cursor(more.created_at, more.id) if more is not None else None}

    def cancel(self, job_id: str) -> tuple[JobBody | None, Sequence[str]]:
        """Give the job up: what is not predicted yet never will be. The job as it is then, and the ids of requests that
        were open. What is over stays as it is.
        """
        now = wire_time(self._clock())
        with self._database.write() as connection:
            changed = connection.execute(_CANCEL, {"job": job_id, "now": now}).rowcount
        cancelled: list[str] = []
        while changed and (some := cancel_open_requests(self._database, self._cancel, job_id, now)):
            cancelled += some
        return self.job(job_id), cancelled

    def _body(self, connection: Connection, row: Row[*tuple[Any, ...]]) -> JobBody:
        counts = _counts(connection, row)
        finished = counts["succeeded"] + counts["failed"] + counts["expired"]
        rate = None
        if row.started_at is not None:
            until = parse_time(row.completed_at) if row.completed_at is not None else self._clock()
            rate = round(finished / max(until - parse_time(row.started_at), 0.001), 1)
        over = row.completed_at is not None
        eta = round(counts["queued"] / rate, 1) if rate and not over and counts["total"] is not None else None
        body: JobBody = {
            "id": row.id,
            "endpoint": row.endpoint,
            "status": row.status,
            "counts": counts,
            "rows_per_second": rate,
            "eta_seconds": eta,
            "created_at": row.created_at,
            "started_at": row.started_at,
            "completed_at": row.completed_at,
            "reason": row.reason,
            "results": f"/v1/jobs/{row.id}/results",
            "errors": f"/v1/jobs/{row.id}/errors",
        }
        if row.asked is not None and (name := from_json(row.asked).get("source", {}).get("name")):
            body["source"] = name
        if row.metadata is not None:
            body["metadata"] = from_json(row.metadata)
        if row.result_url is not None:
            body["result"] = {
                "url": row.result_url,
                "format": row.result_format,
                "written_at": row.result_written_at,
                "error": row.result_error,
            }
        return body


def _counts(connection: Connection, row: Row[*tuple[Any, ...]]) -> RowCounts:
    known, succeeded, failed, expired, cancelled = connection.execute(_SUMS, {"id": row.id}).one()
    being_cut = connection.execute(_OPEN_CHUNKS, {"id": row.id}).all()
    if being_cut:
        for each in tally(connection, row.id, [chunk.number for chunk in being_cut]).values():
            succeeded += each.succeeded
            failed += each.failed
            expired += each.expired
            cancelled += each.cancelled
        failed += sum(chunk.refused for chunk in being_cut)
    total = row.rows if row.rows is not None else known
    left = total - succeeded - failed - expired - cancelled
    if row.status == "cancelled":
        cancelled, left = cancelled + left, 0
    return {
        "total": row.rows if row.rows is not None or row.completed_at is None else known,
        "succeeded": succeeded,
        "failed": failed,
        "expired": expired,
        "cancelled": cancelled,
        "queued": left,
    }


def _cursor(created_at: str, job_id: str) -> str:
    return base64.urlsafe_b64encode(f"{created_at}|{job_id}".encode()).decode().rstrip("=")


def _of_cursor(text: str) -> tuple[str, str]:
    try:
        at, _, last = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition("|")
        parse_time(at)
    except (ValueError, binascii.Error) as error:
        raise UserMistake("the cursor is none that was given out; start without one") from error
    return at, last


_JOBS = select(
    *jobs.columns, *(job_results.c[name].label(f"result_{name}") for name in ("url", "format", "written_at", "error"))
).outerjoin_from(jobs, job_results, job_results.c.job_id == jobs.c.id)
_READ = _JOBS.where(jobs.c.id == bindparam("id"))
_ASKED = select(jobs.c.asked).where(jobs.c.id == bindparam("id"))
_CANCEL = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"), jobs.c.status.in_(("queued", "running")))
    .values(status="cancelled", completed_at=bindparam("now"))
)
_SUMS = select(
    func.coalesce(func.sum(chunks.c.rows), 0),
    *(func.coalesce(func.sum(chunks.c[name]), 0) for name in ("succeeded", "failed", "expired", "cancelled")),
).where(chunks.c.job_id == bindparam("id"))
_OPEN_CHUNKS = (
    select(chunks.c.number, chunks.c.refused)
    .where(chunks.c.job_id == bindparam("id"), chunks.c.state == "processing")
    .order_by(chunks.c.number)
)
