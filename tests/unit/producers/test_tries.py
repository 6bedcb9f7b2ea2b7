"""A file or a chunk that ends the processes that are at it is given up, and nothing beside it."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from predictq.brokers import NO_HEADERS, Dead, Done, Record
from predictq.chunkfile import write_table
from predictq.messages import CHUNK, JOB, ChunkData
from predictq.names import Names
from predictq.settings import DeploymentSettings, EndpointSettings, JobSettings, Settings
from predictq.storage import Storage
from predictq_producers.jobs.cutting import Cutter
from predictq_producers.jobs.events import chunk_message
from predictq_producers.jobs.planning import Planner
from predictq_producers.jobs.submitting import JobMaker
from predictq_producers.jobs.tries import MOST, EndsProcesses, tried
from predictq_producers.requests import request_makers

JOB_ID = "0195f2d0-0000-7000-8000-000000000001"
SETTINGS = Settings(
    endpoints={"sums": EndpointSettings()}, deployments={"sum": DeploymentSettings(endpoint="sums", model="models:Sum")}
)
MAKERS = request_makers(SETTINGS, max_message_bytes=1 << 20)
DYING = """
import os, signal, sys
from predictq.storage import Storage
from predictq_producers.jobs.tries import tried

with tried(Storage(sys.argv[1], {}), *sys.argv[3:], done_before=int(sys.argv[2])):
    os.kill(os.getpid(), signal.SIGKILL)
"""

Dies = Callable[..., None]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(f"file://{tmp_path}/storage", {})


@pytest.fixture
def dies(storage: Storage) -> Dies:
    """A process ends while it is at it."""

    def die(*folder: str, done_before: int = 0) -> None:
        command = [sys.executable, "-c", DYING, storage.url, str(done_before), *folder]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL

    return die


def record(storage: Storage, data: ChunkData | None = None, redeliveries: int = 1) -> Record:
    """A job that was accepted, or a chunk of it, that has come before."""
    if data is None:
        maker = JobMaker(Names(), MAKERS, SETTINGS.jobs, trusted=True)
        message = maker.of_source("sums", JOB_ID, storage.url_of("rows.csv"), {})
    else:
        message = chunk_message(Names(), data)
    return Record(message.topic, 0, "0", message.value, message.key, NO_HEADERS, 0.0, redeliveries)


def test_what_has_ended_so_many_processes_is_tried_no_more(storage: Storage, dies: Dies) -> None:
    for _ in range(MOST):
        dies("at")

    with pytest.raises(EndsProcesses, match=f"{MOST + 1} times"), tried(storage, "at"):
        pytest.fail("it was tried")


def test_a_try_that_ends_in_any_other_way_counts_for_nothing(storage: Storage, dies: Dies) -> None:
    for _ in range(MOST - 1):
        dies("at")
    with pytest.raises(ZeroDivisionError), tried(storage, "at"):
        raise ZeroDivisionError

    for _ in range(MOST - 1):
        dies("at")
    with tried(storage, "at"):
        pass


def test_whoever_came_further_counts_for_nothing(storage: Storage, dies: Dies) -> None:
    for done in range(MOST + 2):
        dies("at", done_before=done)

    with tried(storage, "at", done_before=MOST + 2):
        pass


def test_a_file_that_ends_the_planner_fails_its_job(storage: Storage, dies: Dies) -> None:
    planner = Planner(
        names=Names(), makers=MAKERS, settings=JobSettings(), storage=storage, open_producer=lambda: pytest.fail("said")
    )
    for _ in range(MOST):
        dies("jobs", JOB_ID, "planning")

    [verdict] = planner.handle([record(storage)]).verdicts

    assert isinstance(verdict, Dead)
    said = JOB.decode(verdict.outputs[0].value)["data"]
    assert said["state"] == "failed"
    assert said["reason"] == f"the file cannot be read: ended the process that handled it, {MOST + 1} times"


def test_a_chunk_that_ends_the_cutter_fails_with_its_rows(storage: Storage, dies: Dies) -> None:
    cutter = Cutter(names=Names(), makers=MAKERS, storage=storage, room=lambda _: None)
    good, bad = (chunk(storage, number) for number in (0, 1))
    for _ in range(MOST):
        dies("jobs", JOB_ID, "cutting", "000001")

    [of_good, of_bad] = cutter.handle([record(storage, good), record(storage, bad)]).verdicts

    assert isinstance(of_good, Done)
    assert len(of_good.outputs) == 2
    assert isinstance(of_bad, Dead)
    said = CHUNK.decode(of_bad.outputs[0].value)["data"]
    assert (said["state"], said.get("requests"), said.get("refused")) == ("cut", 0, 3)
    assert not storage.names("jobs", JOB_ID, "cutting", "000000")


def chunk(storage: Storage, number: int) -> ChunkData:
    """Three rows."""
    place = ("jobs", JOB_ID, "chunks", f"{number:06d}.arrow")
    with storage.writing(*place) as stream:
        write_table(stream, pa.table({"a": [1.0, 2.0, 3.0]}), ())
    return {
        "job_id": JOB_ID,
        "endpoint": "sums",
        "state": "planned",
        "number": number,
        "first_row": number * 3,
        "rows": 3,
        "url": storage.url_of(*place),
        "form": "arrow",
        "features": ["a"],
        "named": True,
        "carried": [],
        "request_rows": 500,
        "request_bytes": 1 << 20,
        "packed": True,
    }
