"""A receiver, a dispatcher that delivers to it, and the ledger and store that fill the outbox."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from pydantic_core import from_json
from tests.beside import running
from tests.unit.sync.conftest import LIMITS, NAMES, _no_admin, prediction, request, rows_of
from tests.unit.sync.webhooks.receiver import TheReceiver, receiving

from predictq.ids import new_id
from predictq.loop import Stop
from predictq.messages import Callback
from predictq.push.secrets import new_secret
from predictq.push.settings import PushSettings
from predictq_sync.database import Database
from predictq_sync.ledger import Ledger
from predictq_sync.store import Store
from predictq_sync.webhooks.bell import Bell
from predictq_sync.webhooks.dispatcher import Dispatcher
from predictq_sync.webhooks.outbox import Outbox
from predictq_sync.webhooks.subscriptions import Subscriptions

SECRET, OLD_SECRET = new_secret(), new_secret()


def push_settings(**options: Any) -> PushSettings:
    """Those of a test: to this machine, and quick to try again."""
    defaults = {
        "secret": SECRET,
        "allow_http": True,
        "allow_private_addresses": True,
        "schedule_seconds": (0, 0.05, 0.05, 0.05),
        "breaker_failures": 1000,
        "poll_seconds": 0.05,
        "timeout_seconds": 5.0,
    }
    return PushSettings.model_validate({**defaults, **options})


class Pushing:
    """One process of the sync service, as far as pushes need it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.bell = Bell()
        self.subscriptions = Subscriptions(database)
        outbox = Outbox(database.dialect, self.subscriptions.current, self.bell.ring)
        self.ledger = Ledger(
            database=database, names=NAMES, endpoints=["tumours"], limits=LIMITS, admin=_no_admin, outbox=outbox
        )
        self.store = Store(database=database, names=NAMES, endpoints=["tumours"], limits=LIMITS, outbox=outbox)

    def finish(self, callback: Callback | None = None, *, request_id: str | None = None, **answer: Any) -> str:
        """A request that is accepted and answered; its id."""
        request_id = request_id or new_id()
        self.ledger.handle([request(request_id, callback=callback)])
        self.store.handle([prediction(request_id, **answer)])
        return request_id

    def dispatcher(self, *, push: PushSettings | None = None, **options: Any) -> Dispatcher:
        return Dispatcher(self.database, push or push_settings(), self.subscriptions, self.bell, **options)

    @contextmanager
    def dispatching(self, *, push: PushSettings | None = None, **options: Any) -> Iterator[Dispatcher]:
        """A dispatcher at work within the block."""
        stop = Stop()
        dispatcher = self.dispatcher(push=push, **options)
        with running(lambda: dispatcher.run(stop), stop=stop.set):
            assert dispatcher.ready.wait(20)
            yield dispatcher

    def deliveries(self) -> list[dict[str, Any]]:
        rows = rows_of(self.database, "deliveries", "created_at, id")
        return [{**row, "history": from_json(row["history"])} for row in rows]

    def settled(self, *states: str, seconds: float = 20.0) -> list[dict[str, Any]]:
        """The deliveries, once these are their states."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.deliveries()
            if sorted(row["state"] for row in found) == sorted(states):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.02)


@pytest.fixture
def pushing(database: Database) -> Pushing:
    return Pushing(database)


@pytest.fixture
def receiver() -> Iterator[TheReceiver]:
    with receiving() as found:
        yield found


def statuses(row: Mapping[str, Any]) -> list[int | None]:
    """What a delivery was answered, try by try."""
    return [entry["status"] for entry in row["history"]]


Dispatching = AbstractContextManager[Dispatcher]
