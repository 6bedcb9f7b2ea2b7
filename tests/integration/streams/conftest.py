"""Gateways on one database of either kind; the test commits what ledger and store would."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx
import pytest
from httpx_sse import ServerSentEvent, connect_sse
from tests.unit.sync.conftest import make_ledger, make_store, prediction, request
from tests.unit.sync.databases import DIALECTS, fresh_url

from predictq.brokers import Broker, Message, open_broker
from predictq.ids import new_id
from predictq.messages import COMMIT, new_commit
from predictq.names import Names
from predictq.settings import Settings
from predictq_gateway.app import Gateway
from predictq_gateway.server import GatewayServer, listen
from predictq_sync.database import Database
from predictq_sync.ledger import Ledger
from predictq_sync.reading import Reader
from predictq_sync.store import Store

DEADLINE_SECONDS = 30.0
NOWHERE = "ffffffff-ffff-4fff-bfff-ffffffffffff"
"""An id that nobody ever gives."""


@dataclass(kw_only=True)
class Served:
    """A gateway that serves."""

    url: str
    gateway: Gateway
    server: GatewayServer
    thread: threading.Thread

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(DEADLINE_SECONDS)
        assert not self.thread.is_alive()

    @contextmanager
    def events(self, path: str, heard: str | None = None) -> Iterator[Iterator[ServerSentEvent]]:
        """The events of a stream; what has no data is no event."""
        headers = {} if heard is None else {"last-event-id": heard}
        with (
            httpx.Client(base_url=self.url, timeout=DEADLINE_SECONDS) as client,
            connect_sse(client, "GET", path, headers=headers) as source,
        ):
            assert source.response.status_code == 200, source.response.read()
            yield (event for event in source.iter_sse() if event.data)

    def get(self, path: str, heard: str | None = None, **options: Any) -> httpx.Response:
        headers = {} if heard is None else {"last-event-id": heard}
        return httpx.get(f"{self.url}{path}", headers=headers, timeout=DEADLINE_SECONDS, **options)


@dataclass(kw_only=True)
class Site:
    """An installation whose sync service is the test."""

    settings: Settings
    broker: Broker
    database: Database
    ledger: Ledger
    store: Store
    served: list[Served] = field(default_factory=list)

    @classmethod
    def on(cls, url: str, folder: Path) -> Self:
        """On that database, whose tables are there."""
        settings = Settings.model_validate(
            {
                "broker": f"memory://{uuid4().hex}",
                "database": url,
                "folder": folder,
                "gateway": {"poll_seconds": 0.3, "heartbeat_seconds": 0.3, "job_progress_seconds": 0.2},
                "endpoints": {"tumours": {}},
                "deployments": {"linear": {"endpoint": "tumours", "model": "m"}},
            }
        )
        database = Database(url)
        return cls(
            settings=settings,
            broker=open_broker(settings.broker),
            database=database,
            ledger=make_ledger(database),
            store=make_store(database),
        )

    def close(self) -> None:
        for each in self.served:
            each.stop()
        self.broker.close()
        self.database.close()

    def serve(self, **changed: Any) -> Served:
        """One more gateway."""
        limits = self.settings.gateway.model_copy(update=changed)
        settings = self.settings.model_copy(update={"gateway": limits})
        gateway = Gateway(settings, self.broker, Reader(self.database), self.database)
        server = GatewayServer(gateway)
        socket = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{socket.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
        thread.start()
        served = Served(url=url, gateway=gateway, server=server, thread=thread)
        self.served.append(served)
        eventually(lambda: served.get("/readyz").status_code == 200)
        return served

    def accept(self, count: int = 1) -> list[str]:
        ids = [new_id() for _ in range(count)]
        self.ledger.handle([request(each) for each in ids])
        return ids

    def finish(self, ids: Sequence[str], *, announced: bool = True, store: Store | None = None, **options: Any) -> None:
        (store or self.store).handle([prediction(each, **options) for each in ids])
        if announced:
            self.announce(ids)

    def announce(self, ids: Sequence[str]) -> None:
        with closing(self.broker.producer()) as producer:
            producer.publish([Message(Names().commits, COMMIT.encode(new_commit(ids, time.time())))])


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture(params=DIALECTS)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    with fresh_url(request.param, tmp_path) as url, closing(Site.on(url, tmp_path)) as site:
        yield site
