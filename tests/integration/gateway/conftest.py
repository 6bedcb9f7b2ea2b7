"""A gateway on a free port, served by uvicorn, on a broker in memory."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from predictq.brokers import Broker, Done, Message, Record, Subscription, open_broker
from predictq.messages import COMMIT, REQUEST, RequestEvent, new_commit
from predictq.names import Names
from predictq.settings import Settings
from predictq_gateway.app import Gateway
from predictq_gateway.server import GatewayServer, listen
from predictq_sync.database import Database
from predictq_sync.reading import Reader, RequestBody

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"mean radius": {"type": "number", "minimum": 0}, "mean texture": {"type": "number"}},
    "required": ["mean radius", "mean texture"],
    "additionalProperties": False,
}
ROW = {"mean radius": 14.2, "mean texture": 20.4}
DEADLINE_SECONDS = 20.0


class ScriptedReader(Reader):
    """Stands in for the database where a test must decide what the ledger knows, and when."""

    def __init__(self) -> None:
        self.bodies: dict[str, RequestBody] = {}
        self.hashes: dict[str, str] = {}
        self.at: float | None = None
        self.reads: list[Sequence[str]] = []
        self.failure: Exception | None = None

    def requests(self, ids: Sequence[str]) -> Mapping[str, RequestBody]:
        self.reads.append(ids)
        if self.failure is not None:
            raise self.failure
        return {each: self.bodies[each] for each in ids if each in self.bodies}

    def watermark(self) -> float | None:
        return self.at

    def hash_of(self, request_id: str) -> str | None:
        if self.failure is not None:
            raise self.failure
        return self.hashes.get(request_id)

    def cancel(self, request_id: str, now: float) -> RequestBody | None:
        body = self.bodies.get(request_id)
        if body is not None and body["status"] == "queued":
            body["status"] = "cancelled"
        return body


@dataclass(kw_only=True)
class Running:
    """A gateway that serves, and what stands around it."""

    url: str
    gateway: Gateway
    server: GatewayServer
    broker: Broker
    reader: ScriptedReader
    client: httpx.Client
    names: Names = field(default_factory=Names)

    def submit(self, body: Any = None, *, endpoint: str = "tumours", **headers: str) -> httpx.Response:
        """Submit `body`, one good instance by default."""
        content = body if isinstance(body, bytes | str) else json.dumps({"instances": [ROW]} if body is None else body)
        named = {"content-type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self.client.post(f"/v1/endpoints/{endpoint}/predictions", content=content, headers=named)

    def published(self, topic: str, count: int) -> list[Record]:
        """The first `count` records of a topic whose group was there before them."""
        group = self.names.ledger_group
        subscription = Subscription(topics=(topic,), member=uuid.uuid4().hex, group=group)
        found: list[Record] = []
        deadline = time.monotonic() + DEADLINE_SECONDS
        with closing(self.broker.consumer(subscription)) as consumer:
            while len(found) < count and time.monotonic() < deadline:
                batch = consumer.poll(1000, 1 << 24, 0.0)
                found.extend(batch)
                if batch:
                    consumer.settle(batch, [Done()] * len(batch))
        return found

    def requests(self, count: int, endpoint: str = "tumours") -> list[RequestEvent]:
        """The first `count` requests that were published and not read yet."""
        return [REQUEST.decode(record.value) for record in self.published(self.names.requests(endpoint), count)]

    def announce(self, *ids: str) -> None:
        """Say, as the sync service does, that these have become readable."""
        with closing(self.broker.producer()) as producer:
            producer.publish([Message(self.names.commits, COMMIT.encode(new_commit(ids, time.time())))])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "tumour.json").write_text(json.dumps(SCHEMA))
    return Settings.model_validate(
        {
            "broker": f"memory://{uuid.uuid4().hex}",
            "folder": tmp_path,
            "gateway": {"max_body_bytes": 100_000, "max_wait_seconds": 30, "poll_seconds": 60},
            "endpoints": {
                "tumours": {"input": "tumour.json", "max_instances": 5},
                "free": {},
                "orphan": {},
            },
            "deployments": {
                "linear": {"endpoint": "tumours", "model": "m.joblib"},
                "forest": {"endpoint": "tumours", "model": "f.joblib"},
                "silent": {"endpoint": "tumours", "model": "s.joblib", "role": "shadow"},
                "any": {"endpoint": "free", "model": "m.joblib"},
            },
        }
    )


@pytest.fixture
def run(settings: Settings) -> Iterator[Callable[..., Running]]:
    """Serve a gateway until the test is over."""
    started: list[tuple[Running, threading.Thread]] = []

    def run(changed: Settings = settings, ready: str = "/readyz", database: str | None = None) -> Running:
        broker = open_broker(changed.broker)
        reader = ScriptedReader()
        gateway = Gateway(changed, broker, reader, Database(database or f"sqlite:///{changed.folder}/none.db"))
        server = GatewayServer(gateway)
        socket = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{socket.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
        thread.start()
        client = httpx.Client(base_url=url, timeout=DEADLINE_SECONDS)
        wait_until(lambda: client.get(ready).status_code == 200)
        running = Running(url=url, gateway=gateway, server=server, broker=broker, reader=reader, client=client)
        started.append((running, thread))
        return running

    yield run
    for running, thread in started:
        running.client.close()
        running.server.should_exit = True
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()
        running.broker.close()


@pytest.fixture
def running(run: Callable[..., Running]) -> Running:
    return run()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    return wait_until


def wait_until(condition: Callable[[], bool]) -> None:
    """Return as soon as `condition` holds; fail when it does not in time."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
