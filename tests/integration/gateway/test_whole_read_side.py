"""The gateway with the real ledger, store and database; the test itself stands in for the workers."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.beside import running

from predictq.brokers import Broker, Done, Message, Record, Subscription, open_broker
from predictq.clock import wire_time
from predictq.ids import new_id
from predictq.loop import Stop
from predictq.messages import PREDICTION, REQUEST, PredictionEvent, RequestEvent, prediction_id
from predictq.names import Names
from predictq.settings import Settings
from predictq_gateway.app import Gateway
from predictq_gateway.server import GatewayServer, listen
from predictq_producers.deriving import keyed_id
from predictq_sync.database import Database
from predictq_sync.reading import Reader
from predictq_sync.service import build_loops, prepare
from predictq_sync.sinks import Sinks

DEADLINE_SECONDS = 30.0
SUBMIT = "/v1/endpoints/tumours/predictions"


@dataclass(kw_only=True)
class Site:
    """An installation whose workers are the test."""

    settings: Settings
    broker: Broker
    database: Database
    client: httpx.Client
    names: Names = field(default_factory=Names)
    stop: Stop = field(default_factory=Stop)
    threads: list[threading.Thread] = field(default_factory=list)

    def start_sync(self) -> None:
        """Run the loops of the sync service from now on."""
        loops = build_loops(self.settings, broker=self.broker, database=self.database, sinks=Sinks(self.database, {}))
        for loop in loops:
            thread = threading.Thread(target=loop.run, args=(self.stop,), daemon=True)
            thread.start()
            self.threads.append(thread)

    def answer(self, deployment: str, output: Any) -> RequestEvent:
        """As this deployment's worker: take the next request, publish a prediction for it."""
        topic = self.names.requests("tumours")
        group = self.names.workers("tumours", deployment)
        deadline = time.monotonic() + DEADLINE_SECONDS
        with closing(self.broker.consumer(Subscription(topics=(topic,), member=new_id(), group=group))) as consumer:
            while time.monotonic() < deadline:
                batch = consumer.poll(1, 1 << 20, 0.0)
                if batch:
                    message = self._prediction(batch[0], deployment, output)
                    consumer.settle(batch, [Done([message])])
                    return REQUEST.decode(batch[0].value)
        raise AssertionError("no request came")

    def _prediction(self, record: Record, deployment: str, output: Any) -> Message:
        request = REQUEST.decode(record.value)
        event: PredictionEvent = {
            "specversion": "1.0",
            "id": prediction_id(request["id"], deployment, 0),
            "source": "/test",
            "type": "predictq.prediction.v1",
            "time": wire_time(time.time()),
            "data": {
                "request_id": request["id"],
                "endpoint": "tumours",
                "deployment": deployment,
                "model_version": "1",
                "status": "succeeded",
                "outputs": [output],
                "errors": [],
                "batch_id": None,
                "redrive": 0,
                "instances_hash": request["data"]["instances_hash"],
            },
        }
        return Message(self.names.predictions("tumours"), PREDICTION.encode(event))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    settings = Settings.model_validate(
        {
            "broker": f"memory://{uuid.uuid4().hex}",
            "database": f"sqlite:///{tmp_path}/predictions.db",
            "folder": tmp_path,
            "gateway": {"poll_seconds": 60},
            "endpoints": {"tumours": {}},
            "deployments": {
                "linear": {"endpoint": "tumours", "model": "m"},
                "forest": {"endpoint": "tumours", "model": "m"},
            },
        }
    )
    prepare(settings)
    broker, database = open_broker(settings.broker_url()), Database(settings.database_url())
    server = GatewayServer(Gateway(settings, broker, Reader(database), database))
    socket = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    with httpx.Client(base_url=url, timeout=DEADLINE_SECONDS) as client:
        site = Site(settings=settings, broker=broker, database=database, client=client)
        eventually(lambda: client.get("/readyz").status_code == 200)
        yield site
    site.stop.set()
    server.should_exit = True
    for each in (*site.threads, thread):
        each.join(DEADLINE_SECONDS)
        assert not each.is_alive()
    database.close()
    broker.close()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_a_waiting_submit_gets_both_answers_under_one_id(site: Site) -> None:
    site.start_sync()
    with running(partial(site.answer, "linear", 1), partial(site.answer, "forest", 2)):
        answer = site.client.post(SUBMIT, json={"instances": [[1]]}, headers={"prefer": "wait=25"})

    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "succeeded"
    assert {each["deployment"]: each["outputs"] for each in body["predictions"]} == {"linear": [1], "forest": [2]}


def test_an_accepted_request_is_found_before_and_after_the_sync_service_comes(site: Site) -> None:
    place = site.client.post(SUBMIT, json={"instances": [[1]]}).headers["location"]
    assert site.client.get(place).json()["endpoint"] is None

    site.start_sync()
    eventually(lambda: site.client.get(place).json()["endpoint"] == "tumours")
    assert site.client.get(place).json()["status"] == "queued"


def test_a_keyed_id_that_nobody_submitted_does_not_exist(site: Site) -> None:
    site.start_sync()
    assert site.client.get(f"/v1/predictions/{keyed_id('tumours', 'never')}").status_code == 404


def test_an_old_id_does_not_exist(site: Site) -> None:
    site.start_sync()
    site.client.post(SUBMIT, json={"instances": [[1]]})
    eventually(lambda: site.client.get(f"/v1/predictions/01936f2e-7c4d-7abc-8123-{new_id()[-12:]}").status_code == 404)


def test_a_prediction_that_comes_after_the_cancellation_is_dropped(site: Site) -> None:
    site.start_sync()
    request_id = site.client.post(SUBMIT, json={"instances": [[1]]}).json()["id"]
    cancelled = site.client.post(f"/v1/predictions/{request_id}/cancel")
    site.answer("linear", 1)
    site.answer("forest", 1)
    other = site.client.post(SUBMIT, json={"instances": [[2]]}, headers={"prefer": "respond-async"}).json()["id"]
    site.answer("linear", 2)
    site.answer("forest", 2)
    finished = site.client.get(f"/v1/predictions/{other}?wait=25").json()

    assert cancelled.status_code == 200
    assert cancelled.json()["status"] == "cancelled"
    assert finished["status"] == "succeeded"
    after = site.client.get(f"/v1/predictions/{request_id}").json()
    assert after["status"] == "cancelled"
    assert {each["status"] for each in after["predictions"]} == {"cancelled"}


def test_a_finished_request_is_not_cancelled(site: Site) -> None:
    site.start_sync()
    request_id = site.client.post(SUBMIT, json={"instances": [[1]]}).json()["id"]
    site.answer("linear", 1)
    site.answer("forest", 1)
    assert site.client.get(f"/v1/predictions/{request_id}?wait=25").json()["status"] == "succeeded"
    assert site.client.post(f"/v1/predictions/{request_id}/cancel").json()["status"] == "succeeded"


def test_cancelling_wakes_whoever_waits(site: Site) -> None:
    site.start_sync()
    request_id = site.client.post(SUBMIT, json={"instances": [[1]]}).json()["id"]
    with running(lambda: site.client.get(f"/v1/predictions/{request_id}?wait=25")) as [answer]:
        site.client.post(f"/v1/predictions/{request_id}/cancel")
        assert answer.result(DEADLINE_SECONDS).json()["status"] == "cancelled"
