"""Retention of jobs: their files first, then their rows, so that a job whose files are half gone is looked at again."""

from collections.abc import Callable

from sqlalchemy import bindparam, delete, func, select

from predictq.storage import Storage
from predictq_sync.database import Database
from predictq_sync.statements import among, json_ids
from predictq_sync.tables import chunks, job_requests, job_results, jobs

__all__ = ["JOBS", "ForgetJobs", "forgetting", "old_jobs"]

JOBS = 20
"""At a time; each has some hundred chunks and thousands of requests."""

ForgetJobs = Callable[[str], int]
"""Deletes some of the jobs that were over before a moment; how many. Raises Unavailable."""


def forgetting(database: Database, storage: Storage) -> ForgetJobs:
    """The requests of such jobs go by themselves."""

    def forget(before: str) -> int:
        with database.read() as connection:
            ids = connection.execute(_OLD, {"before": before, "most": JOBS}).scalars().all()
        for job_id in ids:
            storage.delete("jobs", job_id)
        if ids:
            with database.write() as connection:
                for column in (job_requests.c.job_id, job_results.c.job_id, chunks.c.job_id, jobs.c.id):
                    connection.execute(
                        delete(column.table).where(among(column, bindparam("ids"))), {"ids": json_ids(ids)}
                    )
        return len(ids)

    return forget


def old_jobs(database: Database, before: str) -> int:
    """How many would go."""
    with database.read() as connection:
        return connection.execute(_COUNT, {"before": before}).scalar_one()


_OLD = select(jobs.c.id).where(jobs.c.completed_at < bindparam("before")).limit(bindparam("most"))
_COUNT = select(func.count()).select_from(jobs).where(jobs.c.completed_at < bindparam("before"))
