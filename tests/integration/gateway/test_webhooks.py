"""Webhooks over HTTP, from the submit with a callback to the push that is verified."""

import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.gateway.test_whole_read_side import SUBMIT, Site, eventually
from tests.unit.sync.webhooks.receiver import Reply, TheReceiver, receiving

from predictq.brokers import open_broker
from predictq.push.secrets import new_secret
from predictq.settings import Settings
from predictq_gateway.app import Gateway
from predictq_gateway.server import GatewayServer, listen
from predictq_sync.database import Database
from predictq_sync.reading import Reader
from predictq_sync.service import prepare

SECRET = new_secret()
WAIT_SECONDS = 30.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {
            "broker": f"memory://{uuid.uuid4().hex}",
            "database": f"sqlite:///{tmp_path}/predictions.db",
            "folder": tmp_path,
            "endpoints": {"tumours": {}},
            "deployments": {"linear": {"endpoint": "tumours", "model": "m"}},
            "push": {"secret": SECRET, "allow_http": True, "allow_private_addresses": True},
        }
    )


@pytest.fixture
def pushing(settings: Settings) -> Iterator[Site]:
    prepare(settings)
    broker, database = open_broker(settings.broker_url()), Database(settings.database_url())
    server = GatewayServer(Gateway(settings, broker, Reader(database), database))
    socket = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{socket.getsockname()[1]}", timeout=WAIT_SECONDS) as client:
        site = Site(settings=settings, broker=broker, database=database, client=client)
        eventually(lambda: client.get("/readyz").status_code == 200)
        yield site
    site.stop.set()
    server.should_exit = True
    for each in (*site.threads, thread):
        each.join(WAIT_SECONDS)
        assert not each.is_alive()
    database.close()
    broker.close()


@pytest.fixture
def receiver() -> Iterator[TheReceiver]:
    with receiving() as found:
        yield found


def refused(answer: httpx.Response, pointer: str) -> str:
    """Why it was refused, at this place."""
    assert answer.status_code == 422, answer.text
    (fault,) = answer.json()["errors"]
    assert fault["pointer"] == pointer
    return str(fault["detail"])


def test_a_submit_with_a_callback_ends_in_a_push_that_is_verified(pushing: Site, receiver: TheReceiver) -> None:
    pushing.start_sync()
    body = {"instances": [[1]], "callback": {"url": receiver.url, "events": ["prediction.succeeded"]}}
    accepted = pushing.client.post(SUBMIT, json=body)
    assert accepted.status_code == 202
    began = time.monotonic()
    assert pushing.answer("linear", 7)["data"]["callback"] == body["callback"]
    (push,) = receiver.pushes(1)

    told = push.verified(SECRET)
    assert told["type"] == "prediction.succeeded"
    assert told["data"] == pushing.client.get(accepted.headers["location"]).json()
    assert told["data"]["predictions"][0]["outputs"] == [7]
    assert time.monotonic() - began < WAIT_SECONDS
    eventually(lambda: pushing.client.get(f"/v1/deliveries/{push.id}").json()["state"] == "delivered")


@pytest.mark.parametrize(
    ("callback", "pointer", "why"),
    [
        ("https://example.org", "/callback", "no object"),
        ({"events": []}, "/callback", "no object with a url"),
        ({"url": "ftp://example.org/"}, "/callback/url", "no URL of https or http"),
        ({"url": "https://u:p@example.org/"}, "/callback/url", "user name or password"),
        ({"url": "https://example.org/", "events": ["job.completed"]}, "/callback/events", "is no event here"),
        ({"url": "https://example.org/", "events": []}, "/callback/events", "no list of events"),
        ({"url": "https://example.org/", "event": "x"}, "/callback/event", "is unknown here"),
    ],
)
def test_a_callback_that_cannot_work_is_refused_at_the_submit(
    pushing: Site, callback: Any, pointer: str, why: str
) -> None:
    answer = pushing.client.post(SUBMIT, json={"instances": [[1]], "callback": callback})

    assert why in refused(answer, pointer)


def test_a_webhook_is_made_tested_rotated_disabled_and_deleted(pushing: Site, receiver: TheReceiver) -> None:
    pushing.start_sync()
    client = pushing.client
    made = client.post("/v1/webhooks", json={"url": receiver.url, "when": "output > 5", "endpoint": "tumours"})
    assert made.status_code == 201
    webhook = made.json()
    place = made.headers["location"]
    secret = webhook.pop("secret")
    assert client.get(place).json() == webhook
    assert client.get("/v1/webhooks").json() == {"webhooks": [webhook]}

    tested = client.post(f"{place}/test")
    assert tested.status_code == 202
    (push,) = receiver.pushes(1)
    assert push.verified(secret)["type"] == "webhook.test"
    eventually(lambda: client.get(tested.headers["location"]).json()["state"] == "delivered")

    rotated = client.post(f"{place}/rotate").json()["secret"]
    assert rotated != secret
    client.post(f"{place}/test")
    for each in (secret, rotated):
        receiver.pushes(2)[1].verified(each)

    disabled = client.post(f"{place}/disable").json()
    assert (disabled["state"], disabled["reason"]) == ("disabled", "by request")
    assert client.post(f"{place}/test").status_code == 409
    assert client.post(f"{place}/enable").json()["state"] == "enabled"
    assert client.delete(place).status_code == 204
    for answer in (
        client.get(place),
        client.delete(place),
        client.post(f"{place}/test"),
        client.post(f"{place}/rotate"),
    ):
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "pointer", "why"),
    [
        ({}, "/url", "Field required"),
        ({"url": "https://127.0.0.1:x/"}, "/url", "is no URL"),
        ({"url": "https://example.org/", "events": ["prediction.done"]}, "/events", "is no event here"),
        ({"url": "https://example.org/", "endpoint": "fraud"}, "/endpoint", "known: tumours"),
        ({"url": "https://example.org/", "job": "1"}, "/job", "no id of a job"),
        ({"url": "https://example.org/", "when": "label"}, "/when", "is no comparison"),
        ({"url": "https://example.org/", "secret": "hunter2-hunter2"}, "/secret", "is no secret"),
        ({"url": "https://example.org/", "colour": "red"}, "/colour", "Extra inputs"),
    ],
)
def test_a_webhook_that_cannot_work_is_refused(pushing: Site, body: Any, pointer: str, why: str) -> None:
    answer = pushing.client.post("/v1/webhooks", json=body)

    assert why in refused(answer, pointer)
    assert "hunter2" not in answer.text


def test_bodies_are_bounded(pushing: Site) -> None:
    answer = pushing.client.post("/v1/webhooks", json={"url": "x" * 100_000})

    assert answer.status_code == 413


def test_deliveries_are_listed_page_by_page_and_replayed(pushing: Site, receiver: TheReceiver) -> None:
    pushing.start_sync()
    client = pushing.client
    receiver.answers(Reply(410))
    ids = []
    for number in range(3):
        accepted = client.post(SUBMIT, json={"instances": [[1]], "callback": {"url": receiver.url}})
        ids.append(accepted.json()["id"])
        pushing.answer("linear", number)
        eventually(
            lambda: len(client.get("/v1/deliveries", params={"state": "failed"}).json()["deliveries"]) == len(ids)
        )

    first = client.get("/v1/deliveries", params={"limit": 2}).json()
    second = client.get("/v1/deliveries", params={"limit": 2, "cursor": first["next"]}).json()
    listed = [*first["deliveries"], *second["deliveries"]]
    assert [each["subject"] for each in listed] == ids[::-1]
    assert second["next"] is None
    (mine,) = client.get("/v1/deliveries", params={"subject": ids[0]}).json()["deliveries"]
    assert [(each["status"], each["error"]) for each in mine["history"]] == [(410, "answered 410")]

    receiver.answers(Reply(200))
    assert client.post(f"/v1/deliveries/{mine['id']}/replay").status_code == 202
    eventually(lambda: client.get(f"/v1/deliveries/{mine['id']}").json()["state"] == "delivered")
    assert [push.id for push in receiver.pushes(4)].count(mine["id"]) == 2


@pytest.mark.parametrize("query", ["state=done", "cursor=here", "cursor=%00~%00", "limit=0", "limit=x"])
def test_a_filter_that_is_none_is_refused(pushing: Site, query: str) -> None:
    assert pushing.client.get(f"/v1/deliveries?{query}").status_code in {400, 422}


@pytest.mark.parametrize("path", ["webhooks/%00", "webhooks/nobody", "deliveries/%00", "deliveries/nobody"])
def test_what_does_not_exist_is_not_found(pushing: Site, path: str) -> None:
    assert pushing.client.get(f"/v1/{path}").status_code == 404
