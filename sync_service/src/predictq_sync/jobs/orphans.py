"""Uploads of no job: the broker was away, or a process ended, between a file and the message that makes it a job."""

import logging
import time
from collections.abc import Callable, Iterator

from sqlalchemy import bindparam, select

from predictq.ids import created_at, is_uuid
from predictq.loop import Stop
from predictq.settings import RetentionSettings
from predictq.storage import Storage
from predictq_sync.database import Database
from predictq_sync.statements import among, json_ids
from predictq_sync.tables import jobs

__all__ = ["OrphanedUploads"]

log = logging.getLogger(__name__)

CHUNK = 1000


class OrphanedUploads:
    """Deletes those that are older than a job is kept: what made them has given up long ago."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        retention: RetentionSettings,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._storage = storage
        self._seconds = retention.requests_seconds
        self._clock = clock

    def __call__(self, stop: Stop) -> None:
        """Look at the folders of all jobs, until it is to stop. Raises DatabaseUnavailable, StorageUnavailable."""
        before = self._clock() - self._seconds
        for job_id in self._unknown():
            if stop.is_set():
                return
            uploads = self._storage.names("jobs", job_id, "uploads")
            if uploads and all(_is_older(name, before) for name in uploads):
                self._storage.delete("jobs", job_id)
                log.info("retention: deleted what was uploaded for job %s, which never was one", job_id)

    def _unknown(self) -> Iterator[str]:
        """Those that the database does not have."""
        found = [name for name in self._storage.names("jobs") if is_uuid(name)]
        for at in range(0, len(found), CHUNK):
            some = found[at : at + CHUNK]
            with self._database.read() as connection:
                known = set(connection.execute(_KNOWN, {"ids": json_ids(some)}).scalars())
            yield from (job_id for job_id in some if job_id not in known)


def _is_older(upload: str, before: float) -> bool:
    """An upload is named by when it began."""
    made = created_at(upload) if is_uuid(upload) else None
    return made is not None and made < before


_KNOWN = select(jobs.c.id).where(among(jobs.c.id, bindparam("ids")))
