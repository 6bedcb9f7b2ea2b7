"""`job.progress`: how far jobs are, told now and then to whom asked for it."""

import time
from collections.abc import Callable

from sqlalchemy import select

from predictq.clock import wire_time
from predictq_sync.database import Database
from predictq_sync.jobs.reading import JobReader
from predictq_sync.tables import jobs
from predictq_sync.webhooks.outbox import Outbox

__all__ = ["JobNews"]


class JobNews:
    """Tells of jobs that went on. Time is cut into steps by the clock, and a job is told of once in each, however many
    processes look.
    """

    def __init__(
        self, database: Database, outbox: Outbox, *, every_seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._reader = JobReader(database, clock)
        self._every_seconds = every_seconds
        self._clock = clock
        self._step = 0
        self._told: dict[str, int] = {}

    def __call__(self) -> None:
        """Look at all jobs that are open, once a step. Raises DatabaseUnavailable."""
        now = self._clock()
        step = int(now // self._every_seconds)
        if step == self._step:
            return
        with self._database.read() as connection:
            wanted = [row for row in connection.execute(_OPEN).all() if self._outbox.wants_progress(connection, row)]
        finished = {row.id: self._finished(row.id) for row in wanted}
        went_on = [row for row in wanted if finished[row.id] > self._told.get(row.id, 0)]
        if went_on:
            with self._database.write() as connection:
                pushes = sum(self._outbox.progress(connection, row, step, wire_time(now)) for row in went_on)
            if pushes:
                self._outbox.ring()
        self._told, self._step = finished, step

    def _finished(self, job_id: str) -> int:
        body = self._reader.job(job_id)
        if body is None:
            return 0
        counts = body["counts"]
        return counts["succeeded"] + counts["failed"] + counts["expired"] + counts["cancelled"]


_OPEN = select(jobs.c.id, jobs.c.endpoint, jobs.c.asked).where(jobs.c.status.in_(("queued", "running")))
