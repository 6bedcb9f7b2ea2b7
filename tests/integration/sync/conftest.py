"""An installation on the embedded broker in memory, with a database of its own."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from tests.beside import running
from tests.unit.sync.databases import DIALECTS, fresh_url

from predictq.brokers import Broker, Message, open_broker
from predictq.clock import wire_time
from predictq.loop import Stop
from predictq.messages import PREDICTION, REQUEST, RequestEvent, new_request, prediction_id
from predictq.messages.prediction import Status
from predictq.names import Names
from predictq.settings import DeploymentSettings, EndpointSettings, Settings, SyncSettings
from predictq.topology import topology_of
from predictq_sync.database import Database
from predictq_sync.reading import Reader
from predictq_sync.service import build_loops
from predictq_sync.sinks import Sinks

NAMES = Names()


class Installation:
    """The broker, the database, and what a producer and a worker would publish."""

    def __init__(self, settings: Settings, broker: Broker) -> None:
        self.settings = settings
        self.broker = broker
        self.database = Database(settings.database_url())
        self.reader = Reader(self.database)
        self._producer = broker.producer()

    def publish(self, *messages: Message) -> None:
        self._producer.publish(messages)

    @contextmanager
    def sync(self, processes: int = 1, sinks: dict[str, Callable[..., None]] | None = None) -> Iterator[None]:
        """So many sync services, as processes run them: nothing is shared but broker and database."""
        with ExitStack() as stack:
            for _ in range(processes):
                stack.enter_context(self._one_sync(sinks or {}))
            yield

    @contextmanager
    def _one_sync(self, sinks: dict[str, Callable[..., None]]) -> Iterator[None]:
        database = Database(self.settings.database_url())
        loops = build_loops(self.settings, broker=self.broker, database=database, sinks=Sinks(database, sinks))
        stop = Stop()
        with closing(database), running(*(partial(loop.run, stop) for loop in loops), stop=stop.set):
            yield

    def close(self) -> None:
        self._producer.close()
        self.database.close()


def request(request_id: str, *, deployments: Sequence[str] = ("linear",)) -> RequestEvent:
    return new_request(
        request_id=request_id,
        endpoint="tumours",
        instances=[[1.0, 2.0]],
        deployments=list(deployments),
        now=time.time(),
    )


def submitted(event: RequestEvent) -> Message:
    return Message(NAMES.requests("tumours"), REQUEST.encode(event))


def predicted(event: RequestEvent, *, deployment: str = "linear", status: Status = "succeeded") -> Message:
    value = PREDICTION.encode(
        {
            "specversion": "1.0",
            "id": prediction_id(event["id"], deployment, 0),
            "source": event["source"],
            "time": wire_time(time.time()),
            "type": "predictq.prediction.v1",
            "data": {
                "request_id": event["id"],
                "endpoint": "tumours",
                "deployment": deployment,
                "model_version": "1",
                "status": status,
                "outputs": [0.5],
                "errors": [],
                "batch_id": None,
                "redrive": 0,
                "instances_hash": event["data"]["instances_hash"],
            },
        }
    )
    return Message(NAMES.predictions("tumours"), value)


def eventually(holds: Callable[[], bool], *, seconds: float = 60.0) -> None:
    """Look again until it holds; fail after the deadline."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not come to hold in time"
        time.sleep(0.01)


@pytest.fixture(params=DIALECTS)
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    with fresh_url(request.param, tmp_path) as url, installed(url) as one:
        yield one


@pytest.fixture
def installation_on_sqlite(tmp_path: Path) -> Iterator[Installation]:
    """For what only a file can suffer."""
    with fresh_url("sqlite", tmp_path) as url, installed(url) as one:
        yield one


@contextmanager
def installed(database_url: str) -> Iterator[Installation]:
    """A broker of its own in memory, and that database."""
    settings = Settings(
        broker=f"memory://{uuid4().hex}",
        database=database_url,
        sync=SyncSettings(claim_seconds=2.0),
        endpoints={"tumours": EndpointSettings()},
        deployments={
            "linear": DeploymentSettings(endpoint="tumours", model="linear.joblib"),
            "forest": DeploymentSettings(endpoint="tumours", model="forest.joblib"),
        },
    )
    with closing(open_broker(settings.broker_url())) as broker, closing(broker.admin()) as admin:
        admin.ensure(topology_of(settings))
        with closing(Installation(settings, broker)) as opened:
            yield opened
