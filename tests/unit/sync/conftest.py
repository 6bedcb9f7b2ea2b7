"""A fresh database for each test, and records as the broker hands them out."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sync.databases import DIALECTS, fresh_url

from predictq.brokers import NO_HEADERS, Record
from predictq.clock import wire_time
from predictq.loop import Limits
from predictq.messages import BATCH, PREDICTION, REQUEST, Callback, hash_of, new_request, prediction_id
from predictq.names import Names
from predictq_sync.database import Database
from predictq_sync.ledger import Ledger
from predictq_sync.migrations import upgrade
from predictq_sync.store import Store
from predictq_sync.tables import metadata

NOW = 1_796_051_045.5
NAMES = Names()
LIMITS = Limits(1000, 1 << 24, 0.0)
INSTANCES = [[1.0, 2.0]]


def make_ledger(database: Database) -> Ledger:
    return Ledger(
        database=database, names=NAMES, endpoints=["tumours"], limits=LIMITS, admin=_no_admin, clock=lambda: NOW
    )


def record(topic: str, value: bytes, *, position: str = "0", headers: dict[str, str] | None = None) -> Record:
    return Record(topic, 0, position, value, None, headers or NO_HEADERS, NOW, 0)


def request(
    request_id: str,
    *,
    deployments: Sequence[str] = ("linear",),
    instances: list[Any] | None = None,
    endpoint: str = "tumours",
    now: float = NOW,
    deadline: float | None = None,
    metadata: dict[str, str] | None = None,
    callback: Callback | None = None,
) -> Record:
    event = new_request(
        request_id=request_id,
        endpoint=endpoint,
        instances=instances or INSTANCES,
        deployments=list(deployments),
        now=now,
        deadline=deadline,
        metadata=metadata,
        callback=callback,
    )
    return record(NAMES.requests(endpoint), REQUEST.encode(event))


def prediction(
    request_id: str,
    *,
    deployment: str = "linear",
    status: str = "succeeded",
    redrive: int = 0,
    shadow: bool = False,
    instances: list[Any] | None = None,
    endpoint: str = "tumours",
    outputs: list[Any] | None = None,
    errors: list[Any] | None = None,
    now: float = NOW + 1,
) -> Record:
    event: Any = {
        "specversion": "1.0",
        "id": prediction_id(request_id, deployment, redrive),
        "source": f"/predictq/endpoints/{endpoint}",
        "time": wire_time(now),
        "type": "predictq.prediction.v1",
        "data": {
            "request_id": request_id,
            "endpoint": endpoint,
            "deployment": deployment,
            "model_version": "7",
            "status": status,
            "outputs": [0.5] if outputs is None else outputs,
            "errors": errors or [],
            "batch_id": "batch-1",
            "redrive": redrive,
            "instances_hash": hash_of(instances or INSTANCES),
        },
    }
    topic = NAMES.shadow_predictions(endpoint) if shadow else NAMES.predictions(endpoint)
    return record(topic, PREDICTION.encode(event))


def batch(batch_id: str, *, now: float = NOW) -> Record:
    event: Any = {
        "specversion": "1.0",
        "id": batch_id,
        "source": "/predictq/endpoints/tumours",
        "time": wire_time(now),
        "type": "predictq.batch.v1",
        "data": {
            "endpoint": "tumours",
            "deployment": "linear",
            "model_version": "7",
            "worker": "host-1-abc",
            "requests": 3,
            "size": 30,
            "ingested_at": wire_time(now - 2),
            "started_at": wire_time(now - 1),
            "finished_at": wire_time(now),
            "status": "succeeded",
        },
    }
    return record(NAMES.predictions("tumours"), BATCH.encode(event))


@pytest.fixture(params=DIALECTS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with fresh_url(request.param, tmp_path) as url, closing(Database(url)) as opened:
        yield opened


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[Database]:
    """For what only a server can suffer."""
    with fresh_url("postgresql", tmp_path) as url, closing(Database(url)) as opened:
        yield opened


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[Database]:
    """For what only a file can suffer."""
    opened = Database(f"sqlite:///{tmp_path}/predictions.db")
    upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return make_ledger(database)


@pytest.fixture
def store(database: Database) -> Store:
    return make_store(database)


def make_store(database: Database, **options: Any) -> Store:
    return Store(database=database, names=NAMES, endpoints=["tumours"], limits=LIMITS, clock=lambda: NOW, **options)


def rows_of(database: Database, table: str, order: str) -> list[dict[str, Any]]:
    found = metadata.tables[table]
    with database.read() as connection:
        rows = connection.execute(found.select().order_by(*(found.c[name] for name in order.split(", "))))
        return [dict(row) for row in rows.mappings()]


def _no_admin() -> Any:
    raise AssertionError("no test of the ledger's rows asks the broker")
