"""Result files: whole or not there, written once, and again after whatever went wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.event import listen
from tests.beside import running
from tests.unit.sync.conftest import NOW
from tests.unit.sync.job_events import TheJob, job_event

from predictq.ids import new_id
from predictq.loop import Stop
from predictq.storage import Storage
from predictq_sync.database import Database
from predictq_sync.jobs.reading import JobReader
from predictq_sync.jobs.result_files import CLAIM_SECONDS, MAX_RETRY_SECONDS, ResultFiles
from predictq_sync.jobs.results import JobResults, Page
from predictq_sync.tables import watermarks

LATER = NOW + 60


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock(LATER)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out" / "result.jsonl"


def asked(out: Path) -> dict[str, str]:
    return {"url": out.as_uri(), "format": "jsonl"}


def writer(database: Database, clock: Clock, results: JobResults | None = None) -> ResultFiles:
    storage = Storage("file:///nowhere", {})
    return ResultFiles(database, results or JobResults(database, storage), {}, clock=clock, monotonic=clock)


def body(database: Database, job_id: str) -> Any:
    found = JobReader(database).job(job_id)
    assert found is not None
    return found["result"]


def outputs(file: Path) -> list[Any]:
    return [json.loads(line)["outputs"].get("linear") for line in file.read_text().splitlines()]


def test_a_completed_job_has_its_file_and_says_when_it_was_written(database: Database, clock: Clock, out: Path) -> None:
    job = TheJob(database, new_id(), asked(out))
    write = writer(database, clock)
    job.cut(3)
    write(Stop())
    assert not out.exists()
    assert body(database, job.id) == {**asked(out), "written_at": None, "error": None}

    job.answer(3)
    job.planned(3)
    job.progress()
    write(Stop())

    assert outputs(out) == [0, 1, 2, 3, 4, 5]
    assert body(database, job.id) == {**asked(out), "written_at": "2026-11-30T15:05:05.500Z", "error": None}
    assert [file.name for file in out.parent.iterdir()] == [out.name]


def test_it_is_written_once_and_what_became_of_it_since_is_nobodys_concern(
    database: Database, clock: Clock, out: Path
) -> None:
    job = TheJob(database, new_id(), asked(out))
    job.complete(1)
    write = writer(database, clock)
    write(Stop())
    out.unlink()
    clock.now += 1000

    write(Stop())

    assert not out.exists()


def test_a_job_that_is_accepted_again_changes_nothing(database: Database, clock: Clock, out: Path) -> None:
    job = TheJob(database, new_id(), None)
    job.say(job_event(job.id, "accepted", source={"url": "file:///other.csv", "name": "other"}, result=asked(out)))
    job.complete(1)

    writer(database, clock)(Stop())

    found = JobReader(database).job(job.id)
    assert found is not None
    assert found["source"] == "in.csv"
    assert "result" not in found
    assert not out.exists()


def test_of_a_job_that_failed_half_way_what_came_before_is_written_when_it_is_known_to_be_all(
    database: Database, clock: Clock, out: Path
) -> None:
    job = TheJob(database, new_id(), asked(out))
    job.cut(2)
    job.failed()
    write = writer(database, clock)
    write(Stop())
    job.answer(2)
    job.progress()
    write(Stop())
    assert not out.exists(), "a third chunk may be on its way into the ledger"

    with database.write() as connection:
        connection.execute(watermarks.insert(), {"name": "topic", "at": NOW + 30})
    write(Stop())

    assert outputs(out) == [0, 1, 2, 3]


def test_of_a_job_that_failed_at_once_there_is_none_and_it_says_so(database: Database, clock: Clock, out: Path) -> None:
    job = TheJob(database, new_id(), asked(out))
    job.failed()
    with database.write() as connection:
        connection.execute(watermarks.insert(), {"name": "topic", "at": NOW + 30})

    writer(database, clock)(Stop())

    assert not out.exists()
    assert body(database, job.id)["error"] == "the job failed before any row was read"


def test_of_a_cancelled_job_what_was_predicted_is_written(database: Database, clock: Clock, out: Path) -> None:
    job = TheJob(database, new_id(), asked(out))
    job.cut(3)
    job.answer(1)
    JobReader(database, clock).cancel(job.id)
    write = writer(database, clock)
    write(Stop())
    assert not out.exists(), "others may be cancelled just now"
    clock.now += 10

    write(Stop())

    assert outputs(out) == [0, 1, None, None, None, None]
    statuses = [json.loads(line)["status"] for line in out.read_text().splitlines()]
    assert statuses == ["succeeded"] * 2 + ["cancelled"] * 4


def test_what_cannot_be_written_says_why_and_is_written_when_it_can(
    database: Database, clock: Clock, out: Path
) -> None:
    out.parent.write_text("a file where a folder should be")
    job = TheJob(database, new_id(), asked(out))
    job.complete(2)
    write = writer(database, clock)
    write(Stop())
    failed = body(database, job.id)
    assert failed["written_at"] is None
    assert failed["error"] in {f"storage {out.parent.as_uri()}: {why}" for why in ("File exists", "Not a directory")}

    out.parent.unlink()
    write(Stop())
    assert not out.exists(), "it is not tried again at once"
    clock.now += MAX_RETRY_SECONDS
    write(Stop())

    assert outputs(out) == [0, 1, 2, 3]
    assert body(database, job.id)["error"] is None


def test_two_processes_write_it_once(database: Database, clock: Clock, out: Path) -> None:
    job = TheJob(database, new_id(), asked(out))
    job.complete(20)
    pages: list[int] = []

    class Counting(JobResults):
        def pages(self, job_id: str) -> Iterator[Page]:
            for page in super().pages(job_id):
                pages.append(len(page.statuses))
                time.sleep(0.002)
                yield page

    storage = Storage("file:///nowhere", {})
    with running(
        *(lambda: writer(database, clock, Counting(database, storage))(Stop()) for _ in range(4)),
    ):
        pass

    assert outputs(out) == list(range(40))
    assert sum(pages) == 40


KILLED = """
import os, signal, sys
from predictq.loop import Stop
from predictq.storage import Storage
from predictq_sync.database import Database
from predictq_sync.jobs.result_files import ResultFiles
from predictq_sync.jobs.results import JobResults

class Killed(JobResults):
    def pages(self, job_id):
        for number, page in enumerate(super().pages(job_id)):
            if number == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            yield page

database = Database(sys.argv[1])
now = float(sys.argv[2])
ResultFiles(database, Killed(database, Storage("file:///nowhere", {})), {}, clock=lambda: now)(Stop())
"""


def test_a_process_that_is_killed_amid_the_file_shows_nothing_and_another_writes_the_whole(
    sqlite_database: Database, clock: Clock, out: Path
) -> None:
    job = TheJob(sqlite_database, new_id(), asked(out))
    job.complete(10)
    url = f"sqlite:///{sqlite_database.path}"
    done = subprocess.run([sys.executable, "-c", KILLED, url, str(clock.now)], check=False)
    assert done.returncode == -signal.SIGKILL
    [unfinished] = out.parent.iterdir()
    assert unfinished.name.startswith(f".{out.name}.")

    with closing(Database(url)) as other:
        write = writer(other, clock)
        write(Stop())
        assert not out.exists(), "it may be at it still"
        clock.now += CLAIM_SECONDS + 1
        os.utime(unfinished, (1.0, 1.0))
        write(Stop())

    assert outputs(out) == list(range(20))
    assert [file.name for file in out.parent.iterdir()] == [out.name], "what was left is gone"


@pytest.mark.parametrize("lost_after", [1, 2], ids=["amid the file", "at its end"])
def test_one_that_lost_its_claim_leaves_the_file_to_the_other(
    database: Database, clock: Clock, out: Path, lost_after: int
) -> None:
    job = TheJob(database, new_id(), asked(out))
    job.complete(2)

    class Frozen(JobResults):
        def pages(self, job_id: str) -> Iterator[Page]:
            for number, page in enumerate(super().pages(job_id), start=1):
                yield page
                if number == lost_after:
                    clock.now += CLAIM_SECONDS + 1
                    writer(database, clock)(Stop())
                    out.write_text("taken away by whoever waited for it")

    writer(database, clock, Frozen(database, Storage("file:///nowhere", {})))(Stop())

    assert out.read_text() == "taken away by whoever waited for it"
    assert body(database, job.id)["error"] is None


def test_a_process_that_stops_amid_the_file_leaves_it_to_another_at_once(
    database: Database, clock: Clock, out: Path
) -> None:
    job = TheJob(database, new_id(), asked(out))
    job.complete(4)
    stop = Stop()

    class Stopping(JobResults):
        def pages(self, job_id: str) -> Iterator[Page]:
            for page in super().pages(job_id):
                yield page
                stop.set()

    writer(database, clock, Stopping(database, Storage("file:///nowhere", {})))(stop)
    assert list(out.parent.iterdir()) == []

    writer(database, clock)(Stop())

    assert outputs(out) == list(range(8))


def test_looking_for_work_costs_nothing_of_what_is_written_already(
    sqlite_database: Database, clock: Clock, out: Path
) -> None:
    statements: list[str] = []
    listen(sqlite_database.engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    writer(sqlite_database, clock)(Stop())

    [looking] = [text for text in statements if "FROM job_results" in text]
    with sqlite_database.read() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {looking}", ("",) * looking.count("?")).all()
    assert [row[3] for row in plan if " job_results" in row[3]] == ["SCAN job_results USING INDEX job_results_open"]
