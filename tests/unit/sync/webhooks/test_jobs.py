"""The end of a job is pushed, once."""

from tests.unit.sync.job_events import TheJob, job_event
from tests.unit.sync.webhooks.conftest import Pushing
from tests.unit.sync.webhooks.receiver import TheReceiver
from tests.unit.sync.webhooks.test_delivering import keeper, make, spec

from predictq.ids import new_id
from predictq_sync.jobs.progress import JobProgress
from predictq_sync.jobs.reading import JobReader


def test_a_completed_job_is_pushed_with_what_get_tells(pushing: Pushing, receiver: TheReceiver) -> None:
    webhook_id, secret = make(pushing, receiver.url, events=["job.completed"])
    job = TheJob(pushing.database, new_id(), None)
    job.cut(2)
    job.answer(2)
    job.planned(2)
    for _ in range(2):
        JobProgress(pushing.database)()

    with pushing.dispatching():
        (push,) = receiver.pushes(1)
        (row,) = pushing.settled("delivered")

    told = push.verified(secret)
    assert (told["type"], row["webhook_id"]) == ("job.completed", webhook_id)
    assert told["data"] == JobReader(pushing.database).job(job.id)
    assert told["data"]["status"] == "completed"


def test_a_failed_job_is_pushed_once(pushing: Pushing, receiver: TheReceiver) -> None:
    make(pushing, receiver.url, events=["job.failed"])
    job = TheJob(pushing.database, new_id(), None)
    for _ in range(2):
        job.say(job_event(job.id, "failed", reason="no such file"))

    assert [(row["event"], row["subject"]) for row in pushing.deliveries()] == [("job.failed", job.id)]


def test_a_webhook_of_one_job_hears_of_no_other_and_of_no_request(pushing: Pushing, receiver: TheReceiver) -> None:
    mine, other = TheJob(pushing.database, new_id(), None), TheJob(pushing.database, new_id(), None)
    make(pushing, receiver.url, job=mine.id)
    for job in (mine, other):
        job.cut(1)
        job.answer(1)
        job.planned(1)
        job.progress()
    pushing.finish()

    assert [row["subject"] for row in pushing.deliveries()] == [mine.id]


def test_a_webhook_on_a_job_that_is_over_is_told_at_once(pushing: Pushing, receiver: TheReceiver) -> None:
    job = TheJob(pushing.database, new_id(), None)
    job.say(job_event(job.id, "failed", reason="no such file"))

    keeper(pushing).make(spec(receiver.url, job=job.id))

    assert [row["event"] for row in pushing.deliveries()] == ["job.failed"]
