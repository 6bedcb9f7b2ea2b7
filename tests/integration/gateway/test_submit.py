"""Submitting over HTTP: what a client sends, what it is told, what lands on the topic."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests import beside
from tests.integration.gateway.conftest import Running

from predictq.errors import DatabaseUnavailable
from predictq.ids import is_uuid
from predictq.settings import Settings
from predictq_sync.reading import RequestBody

ROW = {"mean radius": 14.2, "mean texture": 20.4}


def finished(request_id: str) -> RequestBody:
    return {"id": request_id, "endpoint": "tumours", "status": "succeeded", "created_at": None, "predictions": []}


def test_an_accepted_request_is_on_its_topic(running: Running) -> None:
    answer = running.submit({"instances": [ROW, ROW], "key": "k", "metadata": {"order": "7"}, "deadline_seconds": 60})

    assert answer.status_code == 202
    body = answer.json()
    assert body == {"id": body["id"], "endpoint": "tumours", "status": "queued"}
    assert is_uuid(body["id"])
    assert answer.headers["location"] == f"/v1/predictions/{body['id']}"
    assert answer.headers["retry-after"] == "1"
    [event] = running.requests(1)
    assert event["id"] == body["id"]
    assert event["data"]["instances"] == [ROW, ROW]
    assert event["data"]["metadata"] == {"order": "7"}
    assert event["partitionkey"] == "k"
    assert event["expirytime"] > event["time"]


def test_visible_deployments_are_stamped_and_shadows_are_not(running: Running) -> None:
    running.submit()

    [event] = running.requests(1)
    assert sorted(event["data"]["deployments"]) == ["forest", "linear"]


def test_many_concurrent_submits_share_few_publishes(running: Running) -> None:
    with ThreadPoolExecutor(64) as pool:
        before = running.gateway.publisher.publishes
        gate = threading.Barrier(64)

        def submit(index: int) -> httpx.Response:
            if index < 64:
                gate.wait(10)
            return running.submit()

        answers = list(pool.map(submit, range(200)))

    assert {answer.status_code for answer in answers} == {202}
    accepted = {answer.json()["id"] for answer in answers}
    assert len(accepted) == 200
    assert {event["id"] for event in running.requests(200)} == accepted
    assert running.gateway.publisher.publishes - before < 200


def test_prefer_wait_answers_with_the_result_as_soon_as_it_is_announced(running: Running) -> None:
    def work() -> None:
        [event] = running.requests(1)
        running.reader.bodies[event["id"]] = finished(event["id"])
        running.announce(event["id"])

    with beside.running(work):
        answer = running.submit(prefer="respond-async, wait=15")

    assert answer.status_code == 200
    assert answer.json()["status"] == "succeeded"
    assert answer.headers["preference-applied"] == "respond-async, wait=15"
    assert answer.headers["content-location"] == f"/v1/predictions/{answer.json()['id']}"


def test_prefer_wait_ends_with_202_when_time_is_up(running: Running) -> None:
    answer = running.submit(prefer="wait=1")

    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "wait=1"


def test_a_lost_announcement_costs_latency_only(run: Callable[..., Running], settings: Settings) -> None:
    running = run(settings.model_copy(update={"gateway": settings.gateway.model_copy(update={"poll_seconds": 0.1})}))

    def work() -> None:
        [event] = running.requests(1)
        running.reader.bodies[event["id"]] = finished(event["id"])

    with beside.running(work):
        answer = running.submit(prefer="wait=15")

    assert answer.status_code == 200


def test_a_database_away_does_not_stop_a_waiting_submit_from_being_accepted(
    run: Callable[..., Running], settings: Settings
) -> None:
    running = run(settings.model_copy(update={"gateway": settings.gateway.model_copy(update={"poll_seconds": 0.1})}))
    running.reader.failure = DatabaseUnavailable("locked")

    assert running.submit(prefer="wait=1").status_code == 202
    assert running.submit(idempotency_key="a").status_code == 202


def test_waiting_submits_are_answered_at_once_when_the_gateway_stops(running: Running) -> None:
    with beside.running(lambda: running.submit(prefer="wait=30")) as [answer]:
        running.requests(1)
        running.server.should_exit = True
        assert answer.result(10).status_code == 202


def test_one_key_is_one_request(running: Running) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: running.submit(idempotency_key="order-1"), range(32)))

    assert {answer.status_code for answer in answers} == {202}
    [request_id] = {answer.json()["id"] for answer in answers}
    other = running.submit(idempotency_key="order-2").json()["id"]
    assert [event["id"] for event in running.requests(2)] == [request_id, other]


def test_a_repeated_key_is_answered_with_the_result_that_is_there(running: Running) -> None:
    request_id = running.submit(idempotency_key="a").json()["id"]
    running.reader.bodies[request_id] = finished(request_id)
    # Longer than the client's patience, and nothing is announced any more: only a look at once can end it in time.
    answer = running.submit(idempotency_key="a", prefer="wait=30")

    assert answer.status_code == 200
    assert answer.json()["status"] == "succeeded"


@pytest.mark.parametrize("key", [{}, {"idempotency_key": "a"}])
def test_a_new_request_is_not_looked_for_before_there_is_news(running: Running, key: dict[str, str]) -> None:
    assert running.submit(prefer="wait=1", **key).status_code == 202
    assert len(running.reader.reads) == 1  # when its time is up


def test_a_quoted_key_is_the_same_key(running: Running) -> None:
    assert running.submit(idempotency_key='"a"').json() == running.submit(idempotency_key="a").json()


def test_one_key_on_two_endpoints_is_two_requests(running: Running) -> None:
    first = running.submit(idempotency_key="a").json()
    assert running.submit(endpoint="free", idempotency_key="a").json()["id"] != first["id"]


def test_a_key_used_with_another_body_is_refused(running: Running) -> None:
    running.submit(idempotency_key="a")
    answer = running.submit({"instances": [{**ROW, "mean radius": 1}]}, idempotency_key="a")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/instances"


def test_a_key_that_the_ledger_knows_is_compared_and_not_published_again(run: Callable[..., Running]) -> None:
    first = run()
    request_id = first.submit(idempotency_key="a").json()["id"]
    [event] = first.requests(1)
    second = run()
    second.reader.hashes[request_id] = event["data"]["instances_hash"]

    assert second.submit(idempotency_key="a").json()["id"] == request_id
    assert second.gateway.publisher.publishes == 0
    assert second.submit({"instances": [{**ROW, "mean radius": 1}]}, idempotency_key="a").status_code == 422


@pytest.mark.parametrize("key", ["", '""', "ä", "x" * 256])
def test_a_key_that_is_none_is_refused(running: Running, key: str) -> None:
    answer = running.client.post(
        "/v1/endpoints/free/predictions",
        content=b'{"instances":[[1]]}',
        headers={b"content-type": b"application/json", b"idempotency-key": key.encode()},
    )
    assert answer.status_code == 400


def test_an_endpoint_without_deployments_accepts_nothing(running: Running) -> None:
    answer = running.submit(endpoint="orphan")

    assert answer.status_code == 503
    assert "no deployment" in answer.json()["detail"]
