"""The end of a job is pushed, once; its progress now and then, to whom asked for it."""

import time
from collections.abc import Callable

from tests.unit.sync.conftest import NOW
from tests.unit.sync.job_events import TheJob, job_event
from tests.unit.sync.webhooks.conftest import SECRET, Pushing
from tests.unit.sync.webhooks.receiver import TheReceiver
from tests.unit.sync.webhooks.test_delivering import keeper, make, spec

from predictq.ids import new_id
from predictq_sync.jobs.news import JobNews
from predictq_sync.jobs.progress import JobProgress
from predictq_sync.jobs.reading import JobReader
from predictq_sync.webhooks.outbox import Outbox

URL = "https://example.org/hook"


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


def news(pushing: Pushing, clock: Callable[[], float]) -> JobNews:
    outbox = Outbox(pushing.database.dialect, pushing.subscriptions.current)
    return JobNews(pushing.database, outbox, every_seconds=10.0, clock=clock)


def settle_all(pushing: Pushing) -> None:
    """As if all that waits had been delivered."""
    with pushing.database.write() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET state = 'delivered'")


def told(pushing: Pushing) -> list[tuple[str, str]]:
    return [(row["event"], row["subject"]) for row in pushing.deliveries()]


def test_progress_is_told_once_a_step_and_only_where_there_is_some(pushing: Pushing) -> None:
    make(pushing, URL, events=["job.progress"])
    job = TheJob(pushing.database, new_id(), None)
    job.cut(3)
    now = [NOW]
    tell = news(pushing, lambda: now[0])
    tell()
    assert told(pushing) == []

    for answered in (1, 2):
        job.answer(answered)
        now[0] += 10.0
        for _ in range(3):
            tell()
        settle_all(pushing)
        assert told(pushing) == [("job.progress", job.id)] * answered
    now[0] += 10.0
    tell()
    assert len(told(pushing)) == 2


def test_processes_that_look_at_once_tell_it_once(pushing: Pushing) -> None:
    make(pushing, URL, events=["job.progress"])
    job = TheJob(pushing.database, new_id(), None)
    job.cut(2)
    job.answer(1)
    for process in (news(pushing, lambda: NOW), news(pushing, lambda: NOW + 1)):
        process()
        settle_all(pushing)

    assert told(pushing) == [("job.progress", job.id)]


def test_a_receiver_that_is_behind_is_told_no_more_until_it_took_the_last(pushing: Pushing) -> None:
    make(pushing, URL, events=["job.progress"])
    job = TheJob(pushing.database, new_id(), None)
    job.cut(3)
    now = [NOW]
    tell = news(pushing, lambda: now[0])
    for answered in (1, 2):
        job.answer(answered)
        now[0] += 10.0
        tell()

    assert told(pushing) == [("job.progress", job.id)]


def test_progress_is_told_to_nobody_who_did_not_name_it(pushing: Pushing) -> None:
    job = called_back(pushing, {"url": URL})
    make(pushing, URL, job=job.id)
    job.cut(2)
    job.answer(1)
    news(pushing, lambda: NOW)()

    assert told(pushing) == []


def test_progress_is_pushed_with_how_far_the_job_is(pushing: Pushing, receiver: TheReceiver) -> None:
    _, secret = make(pushing, receiver.url, events=["job.progress"])
    job = TheJob(pushing.database, new_id(), None)
    job.cut(2)
    job.answer(1)
    job.progress()
    news(pushing, time.time)()
    with pushing.dispatching():
        (push,) = receiver.pushes(1)
        pushing.settled("delivered")

    data = push.verified(secret)["data"]
    assert (data["id"], data["status"], data["counts"]["succeeded"]) == (job.id, "running", 2)


def called_back(pushing: Pushing, callback: dict[str, object]) -> TheJob:
    return TheJob(pushing.database, new_id(), None, callback=callback)


def test_the_callback_of_a_job_is_told_of_its_end(pushing: Pushing, receiver: TheReceiver) -> None:
    job = called_back(pushing, {"url": f"{receiver.url}/mine"})
    job.cut(2)
    job.answer(2)
    job.planned(2)
    JobProgress(pushing.database)()
    with pushing.dispatching():
        (push,) = receiver.pushes(1)
        (row,) = pushing.settled("delivered")

    assert (push.path, row["webhook_id"]) == ("/mine", None)
    assert push.verified(SECRET)["type"] == "job.completed"


def test_the_callback_of_a_job_is_told_of_the_events_that_it_names(pushing: Pushing) -> None:
    job = called_back(pushing, {"url": URL, "events": ["job.progress", "job.failed"]})
    job.cut(2)
    job.answer(1)
    news(pushing, lambda: NOW)()
    job.answer(2)
    job.planned(2)
    job.progress()
    assert told(pushing) == [("job.progress", job.id)]


def test_a_job_that_failed_before_it_was_known_calls_back_all_the_same(pushing: Pushing) -> None:
    job_id = new_id()
    accepted = job_event(job_id, "accepted", source={"url": "file:///in.csv", "name": "in.csv"}, callback={"url": URL})
    pushing.ledger.handle([job_event(job_id, "failed", reason="no such file")])
    assert told(pushing) == []
    for _ in range(2):
        pushing.ledger.handle([accepted])

    assert told(pushing) == [("job.failed", job_id)]
