"""A job by its id, from the moment it was accepted."""

import asyncio

from predictq.clock import wire_time
from predictq.errors import PredictqError
from predictq.ids import created_at, is_uuid
from predictq_sync.jobs.reading import JobBody, JobReader
from predictq_sync.lookup import Lookup

__all__ = ["FindJob", "NoSuchJob"]


class NoSuchJob(PredictqError):
    """It was never submitted, or is kept no longer."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id[:64]!r}; it was never submitted, or is kept no longer")


class FindJob:
    """Says `queued` of a job that the ledger has still to come to. For one event loop."""

    def __init__(self, reader: JobReader, lookup: Lookup) -> None:
        self._reader = reader
        self._lookup = lookup

    async def __call__(self, job_id: str) -> JobBody:
        """The job as it is now. Raises NoSuchJob, DatabaseUnavailable."""
        canonical = job_id.lower()
        if not is_uuid(canonical):
            raise NoSuchJob(job_id)
        body = await asyncio.to_thread(self._reader.job, canonical)
        if body is None and await self._lookup.on_its_way(canonical):
            return _queued(canonical)
        # The ledger may have come between the first look and the watermark.
        body = body or await asyncio.to_thread(self._reader.job, canonical)
        if body is None:
            raise NoSuchJob(job_id)
        return body

    async def hash_of(self, job_id: str) -> str | None:
        """What is known of a job that came under a key. Raises DatabaseUnavailable."""
        return await asyncio.to_thread(self._reader.hash_of, job_id)


def _queued(job_id: str) -> JobBody:
    made = created_at(job_id)
    return {
        "id": job_id,
        "endpoint": None,
        "status": "queued",
        "counts": {"total": None, "succeeded": 0, "failed": 0, "expired": 0, "cancelled": 0, "queued": 0},
        "rows_per_second": None,
        "eta_seconds": None,
        "created_at": None if made is None else wire_time(made),
        "started_at": None,
        "completed_at": None,
        "reason": None,
        "results": f"/v1/jobs/{job_id}/results",
        "errors": f"/v1/jobs/{job_id}/errors",
    }
