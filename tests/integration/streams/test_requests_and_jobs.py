"""The events of one request and of one job."""

import json
import time
from collections.abc import Iterator

import httpx
import pytest
from httpx_sse import ServerSentEvent
from tests.integration.streams.conftest import NOWHERE, Site
from tests.unit.sync.conftest import prediction, request
from tests.unit.sync.job_events import TheJob

from predictq.ids import new_id
from predictq_sync.reading import Reader


def test_a_request_is_queued_and_then_finished(site: Site) -> None:
    gateway = site.serve()
    [request_id] = site.accept()
    with gateway.events(f"/v1/predictions/{request_id}/events") as events:
        queued = next(events)
        assert queued.event == "prediction.queued"
        assert json.loads(queued.data)["endpoint"] == "tumours"
        site.finish([request_id])
        [finished] = list(events)

    assert finished.event == "prediction.succeeded"
    assert json.loads(finished.data) == gateway.get(f"/v1/predictions/{request_id}").json()


@pytest.mark.parametrize("status", ["failed", "expired"])
def test_what_is_finished_already_is_told_at_once(site: Site, status: str) -> None:
    gateway = site.serve()
    [request_id] = site.accept()
    site.finish([request_id], status=status, outputs=[], announced=False)
    with gateway.events(f"/v1/predictions/{request_id.upper()}/events") as events:
        assert [event.event for event in events] == [f"prediction.{status}"]


def test_a_cancelled_request_ends_its_stream(site: Site) -> None:
    gateway = site.serve()
    [request_id] = site.accept()
    with gateway.events(f"/v1/predictions/{request_id}/events") as events:
        next(events)
        httpx.post(f"{gateway.url}/v1/predictions/{request_id}/cancel")
        assert [event.event for event in events] == ["prediction.cancelled"]


def test_whoever_was_cut_off_hears_nothing_twice_at_another_gateway(site: Site) -> None:
    one, other = site.serve(), site.serve()
    [request_id] = site.accept()
    path = f"/v1/predictions/{request_id}/events"
    with one.events(path) as events:
        queued = next(events)
    site.finish([request_id])
    with other.events(path, heard=queued.id) as events:
        [finished] = list(events)

    for gateway in (one, other):
        assert gateway.get(path, heard=finished.id).status_code == 204
        assert gateway.get(f"{path}?last_event_id={finished.id}").status_code == 204


def test_a_redrive_that_succeeds_is_news_to_whoever_heard_of_the_failure(site: Site) -> None:
    gateway = site.serve()
    [request_id] = site.accept()
    path = f"/v1/predictions/{request_id}/events"
    site.finish([request_id], status="failed", outputs=[])
    with gateway.events(path) as events:
        [failed] = list(events)
    site.finish([request_id], redrive=1)
    with gateway.events(path, heard=failed.id) as events:
        assert [event.event for event in events] == ["prediction.succeeded"]


def test_an_id_that_the_ledger_has_still_to_come_to_is_followed_like_any(site: Site) -> None:
    gateway = site.serve()
    request_id = new_id()
    with gateway.events(f"/v1/predictions/{request_id}/events") as events:
        assert json.loads(next(events).data)["endpoint"] is None
        site.store.handle([prediction(request_id)])
        site.ledger.handle([request(request_id)])
        assert [event.event for event in events] == ["prediction.succeeded"]


def test_an_id_that_turns_out_to_be_nobodys_ends_with_an_error(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = site.serve()
    with gateway.events(f"/v1/predictions/{new_id()}/events") as events:
        assert next(events).event == "prediction.queued"
        monkeypatch.setattr(Reader, "watermark", lambda _: time.time() + 100)
        [error] = list(events)
    assert error.event == "error"
    assert json.loads(error.data)["status"] == 404


def test_a_lost_announcement_costs_a_poll_and_no_result(site: Site) -> None:
    gateway = site.serve()
    [request_id] = site.accept()
    with gateway.events(f"/v1/predictions/{request_id}/events") as events:
        next(events)
        site.finish([request_id], announced=False)
        assert [event.event for event in events] == ["prediction.succeeded"]


def test_silence_is_filled_with_comments(site: Site) -> None:
    gateway = site.serve()
    [request_id] = site.accept()
    with httpx.stream("GET", f"{gateway.url}/v1/predictions/{request_id}/events", timeout=20) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        lines = response.iter_lines()
        assert next(lines).startswith("retry: ")
        comments = 0
        for line in lines:
            comments += line == ":"
            if comments == 3:
                break


def test_a_job_is_followed_to_its_end(site: Site) -> None:
    gateway = site.serve()
    job = TheJob(site.database, new_id(), None)
    path = f"/v1/jobs/{job.id}/events"
    with gateway.events(path) as events:
        first = json.loads(next(events).data)
        assert first["counts"]["total"] is None
        job.cut(3)
        job.planned(3)
        job.answer(2)
        told = [(event.event, json.loads(event.data)["counts"]["succeeded"]) for event in _until(events, 4)]
        job.answer(3)
        job.progress()
        rest = list(events)

    assert told[-1] == ("job.progress", 4)
    assert rest[-1].event == "job.completed"
    assert json.loads(rest[-1].data) == gateway.get(f"/v1/jobs/{job.id}").json()
    assert gateway.get(path, heard=rest[-1].id).status_code == 204


def _until(events: Iterator[ServerSentEvent], succeeded: int) -> Iterator[ServerSentEvent]:
    for event in events:
        yield event
        if json.loads(event.data)["counts"]["succeeded"] == succeeded:
            return


def test_a_job_that_does_not_move_is_told_of_once(site: Site) -> None:
    gateway = site.serve()
    job = TheJob(site.database, new_id(), None)
    with gateway.events(f"/v1/jobs/{job.id}/events") as events:
        assert next(events).event == "job.progress"
        time.sleep(1.0)  # five looks
        httpx.post(f"{gateway.url}/v1/jobs/{job.id}/cancel")
        assert [event.event for event in events] == ["job.cancelled"]


@pytest.mark.parametrize("kind", ["predictions", "jobs"])
def test_what_there_is_not_is_404_and_a_cursor_of_elsewhere_is_400(site: Site, kind: str) -> None:
    gateway = site.serve()
    for identifier in (NOWHERE, "what"):
        answer = gateway.get(f"/v1/{kind}/{identifier}/events")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
    for cursor in ("garbage", "1-2-3", "0" * 17, "G" * 16, "x" * 5000):
        answer = gateway.get(f"/v1/{kind}/{new_id()}/events", heard=cursor)
        assert answer.status_code == 400
        assert "Last-Event-ID" in answer.json()["detail"]
        assert len(answer.content) < 500
