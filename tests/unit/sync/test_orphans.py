"""What was uploaded for a job that never was one goes, and nothing else."""

import time
from pathlib import Path

import pytest
from sqlalchemy import insert

from predictq.clock import wire_time
from predictq.ids import derived_id, new_id
from predictq.loop import Stop
from predictq.settings import RetentionSettings
from predictq.storage import Storage
from predictq_sync.database import Database
from predictq_sync.jobs import orphans
from predictq_sync.jobs.orphans import OrphanedUploads
from predictq_sync.tables import jobs

DAY = 86_400.0
RETENTION = RetentionSettings(requests_seconds=30 * DAY)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(f"file://{tmp_path}/storage", {})


def put(storage: Storage, *parts: str) -> None:
    with storage.writing("jobs", *parts) as stream:
        stream.write(b"a\n1\n")


def test_what_was_uploaded_for_no_job_goes_when_a_job_would(
    database: Database, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "CHUNK", 2)
    known, orphan, other, of_a_source = (derived_id(str(number)) for number in range(4))
    for job_id in (known, orphan, other):
        put(storage, job_id, "uploads", new_id(), "rows")
    put(storage, of_a_source, "chunks", "000000.arrow")
    put(storage, "mine", "uploads", new_id(), "rows")
    with database.write() as connection:
        job = {"id": known, "endpoint": "e", "status": "queued", "created_at": wire_time(time.time())}
        connection.execute(insert(jobs), [job])

    OrphanedUploads(database, storage, RETENTION, clock=lambda: time.time() + 29 * DAY)(Stop())
    assert len(storage.names("jobs")) == 5

    put(storage, other, "uploads", "something-else", "rows")
    OrphanedUploads(database, storage, RETENTION, clock=lambda: time.time() + 31 * DAY)(Stop())
    assert set(storage.names("jobs")) == {known, other, of_a_source, "mine"}


def test_it_ends_when_it_is_told_to(database: Database, storage: Storage) -> None:
    put(storage, new_id(), "uploads", new_id(), "rows")
    stop = Stop()
    stop.set()
    OrphanedUploads(database, storage, RETENTION, clock=lambda: time.time() + 31 * DAY)(stop)
    assert len(storage.names("jobs")) == 1
