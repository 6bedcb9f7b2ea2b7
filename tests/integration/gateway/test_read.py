"""Reading and cancelling over HTTP: what is said of ids that the database holds, and of those that it does not."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from tests import beside
from tests.integration.gateway.conftest import Running, wait_until

from predictq.brokers import Subscription
from predictq.errors import DatabaseUnavailable
from predictq.ids import new_id
from predictq.messages import CANCEL
from predictq_producers.deriving import keyed_id
from predictq_sync.reading import RequestBody


def body(request_id: str, status: str = "queued") -> RequestBody:
    return {"id": request_id, "endpoint": "tumours", "status": status, "created_at": None, "predictions": []}


def id_made_at(unix_seconds: float) -> str:
    milliseconds = f"{int(unix_seconds * 1000):012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}{new_id()[13:]}"


def test_what_the_database_holds_is_answered(running: Running) -> None:
    request_id = new_id()
    running.reader.bodies[request_id] = body(request_id, "partial")
    answer = running.client.get(f"/v1/predictions/{request_id}")

    assert answer.status_code == 200
    assert answer.json() == body(request_id, "partial")
    assert "retry-after" not in answer.headers


def test_an_id_in_capitals_is_the_same_id(running: Running) -> None:
    request_id = new_id()
    running.reader.bodies[request_id] = body(request_id)
    assert running.client.get(f"/v1/predictions/{request_id.upper()}").json()["id"] == request_id


def test_a_request_just_accepted_is_queued_though_no_ledger_ever_ran(running: Running) -> None:
    place = running.submit().headers["location"]
    answer = running.client.get(place)

    assert answer.status_code == 200
    assert answer.json()["status"] == "queued"
    assert answer.headers["retry-after"] == "1"


def test_an_unknown_id_newer_than_the_watermark_less_a_minute_is_queued(running: Running) -> None:
    running.reader.at = time.time()
    assert running.client.get(f"/v1/predictions/{id_made_at(time.time() - 50)}").json()["status"] == "queued"


def test_an_unknown_id_older_than_that_does_not_exist(running: Running) -> None:
    running.reader.at = time.time()
    assert running.client.get(f"/v1/predictions/{id_made_at(time.time() - 70)}").status_code == 404


def test_an_id_of_the_far_future_does_not_exist(running: Running) -> None:
    assert running.client.get(f"/v1/predictions/{id_made_at(time.time() + 3600)}").status_code == 404


def test_an_id_of_another_version_does_not_exist(running: Running) -> None:
    assert running.client.get("/v1/predictions/8c5e6f2a-7c4d-4abc-8123-456789abcdef").status_code == 404


def test_an_unknown_keyed_id_does_not_exist_once_the_ledger_has_come_past_the_question(running: Running) -> None:
    running.reader.at = time.time() - 10

    def catch_up() -> None:
        wait_until(lambda: bool(running.reader.reads))
        running.reader.at = time.time() + 1

    with beside.running(catch_up):
        answer = running.client.get(f"/v1/predictions/{keyed_id('tumours', 'k')}")
    assert answer.status_code == 404


def test_an_unknown_keyed_id_is_queued_while_the_ledger_is_behind(running: Running) -> None:
    running.reader.at = time.time() - 10
    assert running.client.get(f"/v1/predictions/{keyed_id('tumours', 'k')}").json()["status"] == "queued"


def test_a_row_that_the_ledger_writes_while_it_is_asked_for_is_found(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = id_made_at(time.time() - 3600)
    seen = running.reader.watermark

    def arrive() -> float | None:
        running.reader.bodies[request_id] = body(request_id)
        running.reader.at = time.time()
        return seen()

    monkeypatch.setattr(running.reader, "watermark", arrive)
    assert running.client.get(f"/v1/predictions/{request_id}").status_code == 200


def test_a_read_waits_for_the_announcement(running: Running) -> None:
    request_id = new_id()
    running.reader.bodies[request_id] = body(request_id)

    def finish() -> None:
        wait_until(lambda: bool(running.reader.reads))
        running.reader.bodies[request_id] = body(request_id, "succeeded")
        running.announce(request_id)

    with beside.running(finish):
        # Longer than the client's patience: only the announcement can end it in time.
        answer = running.client.get(f"/v1/predictions/{request_id}?wait=30")
    assert answer.json()["status"] == "succeeded"


def test_a_read_that_waits_in_vain_is_queued(running: Running) -> None:
    answer = running.client.get(f"/v1/predictions/{new_id()}?wait=0.2")
    assert answer.json()["status"] == "queued"


def test_a_database_away_is_503_with_retry_after_and_without_its_inside(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.reader.failure = DatabaseUnavailable("/srv/ours/predictions.db: locked")
    answer = running.client.get(f"/v1/predictions/{new_id()}")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "the database is away; try again in a moment"
    assert "/srv/ours/predictions.db: locked" in caplog.text
    assert running.client.get("/readyz").status_code == 200


def test_cancelling_hints_at_the_workers_and_may_be_repeated(running: Running) -> None:
    request_id = new_id()
    running.reader.bodies[request_id] = body(request_id)
    hints = Subscription(topics=(running.names.cancels,), member="worker-1")
    with closing(running.broker.consumer(hints)) as consumer:
        consumer.poll(10, 1 << 20, 0.0)
        first = running.client.post(f"/v1/predictions/{request_id}/cancel")
        again = running.client.post(f"/v1/predictions/{request_id}/cancel")
        heard = consumer.poll(10, 1 << 20, 0.5)

    assert first.status_code == again.status_code == 200
    assert first.json()["status"] == again.json()["status"] == "cancelled"
    assert CANCEL.decode(heard[0].value)["data"]["ids"] == [request_id]


def test_cancelling_what_is_answered_in_part_hints_at_the_workers_too(running: Running) -> None:
    request_id = new_id()
    running.reader.bodies[request_id] = body(request_id, "partial")
    running.reader.bodies[request_id]["predictions"] = [
        {
            "deployment": deployment,
            "model_version": "1",
            "status": status,
            "outputs": [],
            "errors": [],
            "batch_id": None,
            "created_at": "2026-11-30T15:04:05.000Z",
        }
        for deployment, status in (("linear", "succeeded"), ("forest", "cancelled"))
    ]
    hints = Subscription(topics=(running.names.cancels,), member="worker-1")
    with closing(running.broker.consumer(hints)) as consumer:
        consumer.poll(10, 1 << 20, 0.0)
        running.client.post(f"/v1/predictions/{request_id}/cancel")
        heard = consumer.poll(10, 1 << 20, 0.5)

    assert [CANCEL.decode(record.value)["data"]["ids"] for record in heard] == [[request_id]]


def test_what_is_finished_is_not_cancelled(running: Running) -> None:
    request_id = new_id()
    running.reader.bodies[request_id] = body(request_id, "succeeded")
    assert running.client.post(f"/v1/predictions/{request_id}/cancel").json()["status"] == "succeeded"


def test_cancelling_waits_for_the_ledger(running: Running) -> None:
    request_id = new_id()

    def arrive() -> None:
        wait_until(lambda: bool(running.reader.reads))
        running.reader.bodies[request_id] = body(request_id)

    with beside.running(arrive):
        answer = running.client.post(f"/v1/predictions/{request_id}/cancel")
    assert answer.json()["status"] == "cancelled"


def test_cancelling_before_the_ledger_has_come_is_503(running: Running) -> None:
    answer = running.client.post(f"/v1/predictions/{new_id()}/cancel")
    assert answer.status_code == 503
    assert "not in the ledger yet" in answer.json()["detail"]
    assert answer.headers["retry-after"] == "1"


def test_cancelling_what_does_not_exist_is_404(running: Running) -> None:
    running.reader.at = time.time()
    assert running.client.post(f"/v1/predictions/{id_made_at(time.time() - 3600)}/cancel").status_code == 404


def test_concurrent_reads_share_queries(running: Running) -> None:
    ids = [new_id() for _ in range(50)] * 4
    running.reader.bodies.update({each: body(each) for each in set(ids)})
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda each: running.client.get(f"/v1/predictions/{each}").json()["id"], sorted(ids)))

    assert answers == sorted(ids)
    assert len(running.reader.reads) < 200
