"""What RQ's own worker makes of the functions for it, on a real Redis."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis
from rq import Queue, SimpleWorker
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from tests.servers.finding import url_of

from predictq.brokers import Done, Subscription, open_broker
from predictq.ids import is_uuid
from predictq.messages import JOB, REQUEST
from predictq_producers.deriving import scheduled_job_id

SETTINGS = """
broker = "sqlite:///broker.db"
[endpoints.tumours]
[deployments.linear]
endpoint = "tumours"
model = "m.joblib"
[schedules.nightly]
endpoint = "tumours"
source = "s3://scans/{tick:%Y-%m-%d}.csv"
cron = "30 2 * * *"
timezone = "Pacific/Auckland"
"""
TICK = "2026-05-03T14:30:00.000Z"
"""In Auckland it is half past two, on the day after."""


@pytest.fixture
def queue() -> Iterator[Queue]:
    with closing(redis.Redis.from_url(url_of("redis"))) as connection:
        queue = Queue(f"test-{uuid.uuid4().hex}", connection=connection, serializer=JSONSerializer)
        yield queue
        queue.delete(delete_jobs=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "predictq.toml").write_text(SETTINGS)
    monkeypatch.setenv("PREDICTQ_CONFIG", str(tmp_path / "predictq.toml"))
    return tmp_path


def worked_off(queue: Queue, job: Job) -> Job:
    """The job when a worker of RQ's has run it."""
    SimpleWorker([queue], connection=queue.connection, serializer=JSONSerializer).work(burst=True)
    return Job.fetch(job.id, connection=queue.connection, serializer=JSONSerializer)


def published(folder: Path, topic: str, group: str) -> list[bytes]:
    with (
        closing(open_broker(f"sqlite:///{folder}/broker.db")) as broker,
        closing(broker.consumer(Subscription(topics=(topic,), member="test", group=group))) as consumer,
    ):
        batch = consumer.poll(100, 1 << 20, 0.0)
        consumer.settle(batch, [Done()] * len(batch))
        return [record.value for record in batch]


def test_a_file_becomes_one_job_however_often_rq_runs_it(queue: Queue, folder: Path) -> None:
    (folder / "rows.csv").write_text("plant,a\np1,1\n")
    arguments = ("tumours", str(folder / "rows.csv"), {"id_column": "plant"})
    job = queue.enqueue("predictq_producers.rq_jobs.submit_file", *arguments)

    first = worked_off(queue, job)
    queue.enqueue_job(first)
    again = worked_off(queue, job)

    assert first.get_status() == again.get_status() == JobStatus.FINISHED, again.latest_result()
    assert is_uuid(str(first.return_value()))
    assert again.return_value() == first.return_value()
    events = [JOB.decode(value)["data"] for value in published(folder, "predictq.tumours.jobs", "predictq.planner")]
    assert {event["job_id"] for event in events} == {first.return_value()}
    assert events[0]["id_column"] == "plant"


def test_rows_become_requests_that_are_the_same_when_rq_runs_it_again(queue: Queue, folder: Path) -> None:
    rows = [[float(number)] for number in range(250)]
    job = queue.enqueue("predictq_producers.rq_jobs.submit_rows", "tumours", rows, {"metadata": {"order": "7"}})

    first = worked_off(queue, job)
    queue.enqueue_job(first)
    again = worked_off(queue, job)

    assert first.get_status() == JobStatus.FINISHED, first.latest_result()
    assert again.return_value() == first.return_value()
    values = published(folder, "predictq.tumours.requests", "predictq.tumours.linear")
    requests = {request["id"]: request["data"] for request in map(REQUEST.decode, values)}
    assert list(requests) == first.return_value()
    assert [row for data in requests.values() for row in data["instances"]] == rows
    assert all(data["metadata"] == {"order": "7"} for data in requests.values())


def test_a_tick_of_a_schedule_becomes_the_job_that_the_scheduler_would_start(queue: Queue, folder: Path) -> None:
    done = worked_off(queue, queue.enqueue("predictq_producers.rq_jobs.start_scheduled", "nightly", TICK))

    assert done.get_status() == JobStatus.FINISHED, done.latest_result()
    [event] = [JOB.decode(value)["data"] for value in published(folder, "predictq.tumours.jobs", "predictq.planner")]
    assert event["job_id"] == done.return_value() == scheduled_job_id("tumours", "nightly", TICK)
    assert event["source"]["url"] == "s3://scans/2026-05-04.csv"
    assert event["metadata"] == {"schedule": "nightly", "tick": TICK}


def test_a_schedule_that_the_worker_does_not_know_is_told(queue: Queue, folder: Path) -> None:
    failed = worked_off(queue, queue.enqueue("predictq_producers.rq_jobs.start_scheduled", "hourly", TICK))

    assert failed.get_status() == JobStatus.FAILED
    result = failed.latest_result()
    assert result is not None
    assert "schedules.hourly: not in the settings of this worker; known: nightly" in str(result.exc_string)


def test_what_is_wrong_is_told_in_rqs_own_way(queue: Queue, folder: Path) -> None:
    job = queue.enqueue("predictq_producers.rq_jobs.submit_file", "tumours", str(folder / "none.csv"))

    failed = worked_off(queue, job)

    assert failed.get_status() == JobStatus.FAILED
    result = failed.latest_result()
    assert result is not None
    assert "none.csv: cannot be read: No such file or directory" in str(result.exc_string)
