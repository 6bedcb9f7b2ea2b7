"""How far jobs are: chunks whose requests are all finished are done, and with the last of them the job is completed.

Looked at once in a while, not at each commit: the path of a request knows nothing of jobs.
"""

import logging
import time
from collections.abc import Callable, Sequence

from pydantic_core import from_json
from sqlalchemy import Connection, bindparam, func, select, update

from predictq.clock import wire_time
from predictq_sync.cancelling import Cancelling
from predictq_sync.database import Database
from predictq_sync.jobs.tallying import tally
from predictq_sync.tables import chunks, job_requests, jobs, requests
from predictq_sync.webhooks.outbox import Outbox

__all__ = ["JobProgress", "cancel_open_requests"]

log = logging.getLogger(__name__)

EVERY_SECONDS = 0.5
CHUNKS = 200
"""Of one job, looked at at a time: those that are cut and not done are few, for so is what may wait."""
LATE_SECONDS = 600.0
"""For so long after a job was cancelled, what a cutter had in hand may still come, and is cancelled too."""
CANCELS = 500
"""Requests that one transaction cancels."""


class JobProgress:
    """Brings chunks and jobs up to date. Several processes may do so at once: each change is made once."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._cancel = Cancelling(database.dialect)
        self._outbox = outbox or Outbox(database.dialect)
        self._clock = clock
        self._monotonic = monotonic
        self._due = float("-inf")

    def __call__(self) -> None:
        """Look at all jobs that are open, if it is time to. Raises DatabaseUnavailable."""
        if self._monotonic() < self._due:
            return
        recent = wire_time(self._clock() - LATE_SECONDS)
        with self._database.read() as connection:
            open_jobs = connection.execute(_OPEN, {"recent": recent}).all()
        for job_id, status, rows in open_jobs:
            if status == "cancelled":
                self._end(job_id)
            self._advance(job_id, status, rows)
        self._due = self._monotonic() + EVERY_SECONDS

    def _advance(self, job_id: str, status: str, rows: int | None) -> None:
        now = wire_time(self._clock())
        with self._database.read() as connection:
            done = _done_among(connection, job_id, now)
            begun = connection.execute(_BEGUN, {"job": job_id}).scalar() if status == "queued" else None
            settled = connection.execute(_SETTLED_ROWS, {"job": job_id}).scalar_one()
        over = status in {"queued", "running"} and settled == rows
        if not done and begun is None and not over:
            return
        pushes = 0
        with self._database.write() as connection:
            if done:
                connection.execute(_DONE, done)
            if begun is not None:
                connection.execute(_START, {"job": job_id, "at": begun})
            settled = connection.execute(_SETTLED_ROWS, {"job": job_id}).scalar_one()
            if (
                rows is not None
                and settled == rows
                and connection.execute(_COMPLETE, {"job": job_id, "now": now}).rowcount
            ):
                pushes = self._outbox.job(connection, job_id, "completed", now)
                log.info("job %s is completed: %d rows", job_id, rows)
        if pushes:
            self._outbox.ring()

    def _end(self, job_id: str) -> None:
        """Cancel what came after its job was cancelled."""
        with self._database.read() as connection:
            if connection.execute(_OPEN_REQUESTS, {"job": job_id, "most": 1}).first() is None:
                return
        now = wire_time(self._clock())
        while cancel_open_requests(self._database, self._cancel, job_id, now):
            pass


def cancel_open_requests(database: Database, cancel: Cancelling, job_id: str, now: str) -> Sequence[str]:
    """Write `cancelled` for some of the requests of a job that are open; their ids, none when all are finished."""
    with database.write() as connection:
        found = connection.execute(_OPEN_REQUESTS.with_for_update(of=requests), {"job": job_id, "most": CANCELS}).all()
        owed = [(row.id, row.endpoint, name) for row in found for name in dict.fromkeys(from_json(row.deployments))]
        cancel(connection, owed, now)
    return [row.id for row in found]


def _done_among(connection: Connection, job_id: str, now: str) -> list[dict[str, object]]:
    cut = connection.execute(_CUT, {"job": job_id, "most": CHUNKS}).all()
    counted = tally(connection, job_id, [row.number for row in cut])
    done: list[dict[str, object]] = []
    for row in cut:
        known = counted.get(row.number)
        finished = known.requests if known is not None else 0
        if finished < row.requests:
            continue
        done.append(
            {
                "job": job_id,
                "chunk": row.number,
                "now": now,
                "good": known.succeeded if known else 0,
                "bad": (known.failed if known else 0) + row.refused,
                "late": known.expired if known else 0,
                "given_up": known.cancelled if known else 0,
            }
        )
    return done


# A job that failed half way still gets the answers to what was cut of it.
_OPEN = (
    select(jobs.c.id, jobs.c.status, jobs.c.rows)
    .where(
        jobs.c.status.in_(("queued", "running"))
        | ((jobs.c.status == "cancelled") & (jobs.c.completed_at > bindparam("recent")))
        | (
            (jobs.c.status == "failed")
            & select(chunks.c.number).where(chunks.c.job_id == jobs.c.id, chunks.c.state != "done").exists()
        )
    )
    .order_by(jobs.c.created_at)
)
_CUT = (
    select(chunks.c.number, chunks.c.requests, chunks.c.refused)
    .where(chunks.c.job_id == bindparam("job"), chunks.c.state == "processing")
    .order_by(chunks.c.number)
    .limit(bindparam("most"))
)
_BEGUN = select(func.min(chunks.c.ingested_at)).where(chunks.c.job_id == bindparam("job"))
_DONE = (
    update(chunks)
    .where(chunks.c.job_id == bindparam("job"), chunks.c.number == bindparam("chunk"), chunks.c.state == "processing")
    .values(
        state="done",
        done_at=bindparam("now"),
        succeeded=bindparam("good"),
        failed=bindparam("bad"),
        expired=bindparam("late"),
        cancelled=bindparam("given_up"),
    )
)
_START = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"), jobs.c.status == "queued")
    .values(status="running", started_at=bindparam("at"))
)
_SETTLED_ROWS = select(func.coalesce(func.sum(chunks.c.rows), 0)).where(
    chunks.c.job_id == bindparam("job"), chunks.c.state == "done"
)
_COMPLETE = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"), jobs.c.status.in_(("queued", "running")))
    .values(status="completed", completed_at=bindparam("now"))
)
_OPEN_REQUESTS = (
    select(requests.c.id, requests.c.endpoint, requests.c.deployments)
    .join(job_requests, job_requests.c.request_id == requests.c.id)
    .where(job_requests.c.job_id == bindparam("job"), requests.c.status == "queued", requests.c.owed.is_not(None))
    .order_by(requests.c.id)
    .limit(bindparam("most"))
)
